//! `gauntlet export`: recordings of any format as Gauntlet's own flows, for people to read and keep.

use crate::{cli::ExportArgs, failure::Failure, import, output};
use gauntlet_runtime::Exit;

/// Prints the flows of all recordings as one YAML stream, or the schema of the format.
pub(crate) fn export(args: &ExportArgs) -> Result<Exit, Failure> {
    if args.schema {
        output::line(&format!("{:#}", gauntlet_recordings::schema()));
        return Ok(Exit::Clean);
    }
    let loaded = import::load(&args.paths)?;
    let flows = loaded.iter().flat_map(|one| &one.flows).map(gauntlet_recordings::to_yaml);
    output::line(flows.collect::<Vec<_>>().join("---\n").trim_end());
    Ok(Exit::Clean)
}
