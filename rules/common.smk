# The configuration, and the run: NIGHT knows the frames and what each rule takes, PLAN the batches.
import sys

CHECKOUT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent
sys.path.insert(0, str(CHECKOUT / "scripts"))

from lightmask import demo
from lightmask.workflow import (
    BATCH_CORES,
    Engine,
    Run,
    distinct_labels,
    shown_in_report,
    with_signature,
)

ENGINE = Engine(workflow, CHECKOUT)
ENGINE.check_configfiles(logger)


configfile: f"{CHECKOUT}/config.yaml"


# The demo night is the clone's own: elsewhere whoever gives no folder forgot it.
if ENGINE.reads_configfiles and not CHECKOUT.samefile("."):
    config["frames"] = ENGINE.frames_of_command_line

if Path("config.yaml").exists():

    configfile: "config.yaml"


RUN = Run(ENGINE, config, logger, outside=local)
NIGHT, PLAN = RUN.night, RUN.plan
RUN.prepare()

if ENGINE.is_imported:

    include: "upstream.smk"


shell.prefix(RUN.shell_prefix)


wildcard_constraints:
    frame=r".+",
    masks=r"[0-9a-f]{10}",
    plan=r"\d+T\d+",
    number=r"\d+",


def picture(path, **options):
    """Declare a picture of the report, if pictures are asked for."""
    return report(path, **options) if NIGHT.config["pictures"] else []


onstart:
    RUN.begin()


onsuccess:
    RUN.end()


onerror:
    RUN.end_with_failures()
