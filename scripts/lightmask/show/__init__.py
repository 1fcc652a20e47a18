"""Pictures and pages of frames, masks and the night."""

from lightmask.show.accuracy import accuracy_text, best_of, draw_accuracy, write_accuracy
from lightmask.show.explanations import draw_explanation, explanation_lines
from lightmask.show.index import Shared, write_index, write_one_file
from lightmask.show.night import draw_files, read_summary
from lightmask.show.pictures import draw_combined_mask, draw_frame
from lightmask.show.trials import draw_trials, write_trial_page

__all__ = [
    "Shared",
    "accuracy_text",
    "best_of",
    "draw_accuracy",
    "draw_combined_mask",
    "draw_explanation",
    "draw_files",
    "draw_frame",
    "draw_trials",
    "explanation_lines",
    "read_summary",
    "write_accuracy",
    "write_index",
    "write_one_file",
    "write_trial_page",
]
