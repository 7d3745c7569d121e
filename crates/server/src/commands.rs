//! stub
use std::process::ExitCode;
pub(crate) async fn put(_: &crate::cli::PutArgs) -> ExitCode { ExitCode::SUCCESS }
pub(crate) async fn get(_: &crate::cli::GetArgs) -> ExitCode { ExitCode::SUCCESS }
pub(crate) async fn delete(_: &crate::cli::DeleteArgs) -> ExitCode { ExitCode::SUCCESS }
