# Masked LIGHT frames from a folder of calibrated CCD frames.
#
# Results, {frame} being the frame's path in the folder, percent-encoded where need be:
#   results/frames.csv                      every file of the folder
#   results/combined_masks/{masks}.fits     one per distinct set of masks
#   results/masked/{frame}                  the masked frame, with MASK and FLAGS
#   results/statistics/{frame}.json         its pixels per reason
#   results/summary.csv, .ecsv              a row per LIGHT frame
#   results/pictures                        of frames, combined masks and the night, for the report
#   results/logs, results/benchmarks        per rule and frame
import sys

from snakemake.utils import min_version

min_version("9.0")


report: "docs/report/workflow.rst"


CHECKOUT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True))
sys.path.insert(0, str(CHECKOUT / "scripts"))

from lightmask.night import configfiles

# A module that is given its configuration reads no file.
if not workflow.modifier.skip_configfile:
    OWN = [file for file in [Path("config.yaml")] if file.exists()]
    try:
        configfiles.check(
            [CHECKOUT / "config.yaml", *OWN, *workflow.overwrite_configfiles]
        )
    except ValueError as error:
        logger.error(str(error))
        sys.exit(1)


configfile: f"{CHECKOUT}/config.yaml"


# The demo night is the clone's own: elsewhere whoever gives no folder forgot it.
if not (workflow.modifier.skip_configfile or CHECKOUT.samefile(".")):
    config["frames"] = workflow.config_settings.overwrite_config.get("frames")

if Path("config.yaml").exists():

    configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/common_report.smk"
include: "rules/plan.smk"
include: "rules/demo.smk"
include: "rules/masks.smk"
include: "rules/light.smk"
include: "rules/tables.smk"
include: "rules/batches.smk"


rule all:
    default_target: True
    input:
        whole_night,
    message:
        "All frames are masked: results/masked, results/summary.csv"
