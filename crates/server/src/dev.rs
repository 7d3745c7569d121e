//! stub
use std::process::ExitCode;
pub(crate) async fn command(_: &crate::cli::DevArgs) -> ExitCode { ExitCode::SUCCESS }
