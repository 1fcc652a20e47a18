# Masked LIGHT frames from a folder of calibrated CCD frames.
#
# Results, {frame} being the frame's path in the folder, percent-encoded where need be:
#   results/frames.csv                      every file of the folder
#   results/combined_masks/{masks}.fits     one per distinct set of masks
#   results/masked/{frame}                  the masked frame, with MASK and FLAGS
#   results/statistics/{frame}.json         its pixels per reason
#   results/summary.csv, .ecsv              a row per LIGHT frame
#   results/accuracy.txt, .json             how right the masks are, with assess: frames
#   results/pictures                        of frames, combined masks and the night, for the report
#   results/logs, results/benchmarks        per rule and frame
from snakemake.utils import min_version

min_version("9.20")


report: "docs/report/workflow.rst"


include: "rules/common.smk"
include: "rules/demo.smk"
include: "rules/masks.smk"
include: "rules/light.smk"
include: "rules/tables.smk"
include: "rules/assess.smk"
include: "rules/batches.smk"


rule all:
    default_target: True
    input:
        RUN.all_inputs,
    message:
        "All frames are masked: results/masked, results/summary.csv"
