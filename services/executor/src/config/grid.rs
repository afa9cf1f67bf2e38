//! Settings of a remote endpoint of browsers.

use clap::{Args as ClapArgs, ValueEnum};
use gauntlet_browser::{BasicAuth, Grid};
use gauntlet_proto::v1;
use std::{fs, path::PathBuf, sync::Arc};

/// A remote endpoint of browsers, as given.
#[derive(ClapArgs, Clone, Debug, Default)]
pub struct GridArgs {
    /// W3C endpoint, such as a Selenium Grid or Moon, that browsers come from instead of from this machine.
    #[arg(long = "grid-url", env = "GAUNTLET_EXECUTOR_GRID_URL")]
    pub url: Option<String>,
    /// Browsers that the grid has, with commas between them.
    #[arg(
        long = "grid-browsers",
        env = "GAUNTLET_EXECUTOR_GRID_BROWSERS",
        value_enum,
        value_delimiter = ',',
        default_value = "chromium"
    )]
    pub browsers: Vec<GridBrowser>,
    /// Capabilities that every session asks for, as a JSON object; they win over ours.
    #[arg(long = "grid-capabilities", env = "GAUNTLET_EXECUTOR_GRID_CAPABILITIES")]
    pub capabilities: Option<String>,
    /// File with `user:password` for the grid.
    #[arg(long = "grid-auth-file", env = "GAUNTLET_EXECUTOR_GRID_AUTH_FILE")]
    pub auth_file: Option<PathBuf>,
}

/// A browser of a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GridBrowser {
    /// Chrome or one of its relatives.
    Chromium,
    /// Firefox.
    Firefox,
    /// Safari, or another `WebKit`.
    Webkit,
}

impl From<GridBrowser> for v1::Browser {
    fn from(browser: GridBrowser) -> Self {
        match browser {
            GridBrowser::Chromium => Self::Chromium,
            GridBrowser::Firefox => Self::Firefox,
            GridBrowser::Webkit => Self::Webkit,
        }
    }
}

impl GridArgs {
    /// Returns the grid, if one is given, for at most `sessions_max` sessions; or every problem.
    pub(super) fn grid(&self, sessions_max: u32) -> Result<Option<Arc<Grid>>, Vec<String>> {
        let Some(url) = &self.url else { return Ok(None) };
        let mut problems = Vec::new();
        let text = self.capabilities.as_deref().unwrap_or("{}");
        let capabilities = serde_json::from_str(text).unwrap_or_else(|error| {
            problems.push(format!("--grid-capabilities must be a JSON object: {error}"));
            serde_json::Map::new()
        });
        let auth = self.auth_file.as_ref().and_then(|file| {
            let pair = fs::read_to_string(file).map_err(|error| error.to_string());
            let pair = pair.and_then(|text| match text.trim().split_once(':') {
                Some((user, password)) => {
                    Ok(BasicAuth { user: user.to_owned(), password: password.to_owned() })
                }
                None => Err("it is not user:password".to_owned()),
            });
            pair.map_err(|error| {
                problems.push(format!("--grid-auth-file {}: {error}", file.display()))
            })
            .ok()
        });
        let grid = Grid::new(url, auth, capabilities, sessions_max)
            .map_err(|error| problems.push(format!("--grid-url: {error}")));
        match (grid, problems.is_empty()) {
            (Ok(grid), true) => Ok(Some(grid)),
            _ => Err(problems),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_of_a_grid_is_told_and_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("auth");
        fs::write(&file, "me:pass word\n").unwrap();
        let args = GridArgs {
            url: Some("http://grid:4444".to_owned()),
            capabilities: Some("[]".to_owned()),
            auth_file: Some(file.clone()),
            ..GridArgs::default()
        };
        let problems = args.grid(1).unwrap_err();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(!problems.join(" ").contains("pass word"), "{problems:?}");
        fs::write(&file, "me:password\n").unwrap();
        let args = GridArgs { capabilities: None, ..args };
        assert!(args.grid(1).unwrap().is_some());
        assert_eq!(GridArgs::default().grid(1).unwrap().map(drop), None);
    }
}
