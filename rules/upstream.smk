# A frames folder that a rule of the importing workflow makes: its frames are known once it is there.
#   in   the folder; where rules make single files of it, list them: `use rule search_folder ... with: input: ...`
#   out  results/logs/folder_searched


checkpoint search_folder:
    input:
        local(str(NIGHT.folder)),
    output:
        "results/logs/folder_searched",
    message:
        "Searching the frames folder"
    shell:
        "touch {output:q}"


NIGHT.wait_for = lambda: ENGINE.makes(NIGHT.folder) and checkpoints.search_folder.get()
