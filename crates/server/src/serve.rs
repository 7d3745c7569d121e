//! One node from its start to its end.

use std::future::Future;
use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use precede_core::config::Config;
use rand::TryRng;
use rand::rngs::SysRng;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use crate::driver::Driver;
use crate::exit::{Exit, fail};
use crate::http::App;
use crate::http::accept;
use crate::http::workers::Workers;
use crate::security::Security;
use crate::settings::said::Said;
use crate::settings::{HttpLimits, Settings, SettingsError};
use crate::trace::{TraceSettings, Traces};
use crate::{logging, peer};

/// For everything that is to be done before the end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// How often it is looked whether it is done.
const DRAIN_INTERVAL: Duration = Duration::from_millis(10);

/// Why a node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It was asked to.
    Asked,
    /// A later life of its address exists.
    Superseded,
}

/// Runs `precede serve`.
pub(crate) async fn command(said: Said, exit_with_stdin: bool) -> ExitCode {
    logging::start();
    let (listener, config, http, security, tracing) = match bind(said) {
        Ok(bound) => bound,
        Err(error) => {
            return fail(if error.is::<SettingsError>() { Exit::Usage } else { Exit::No }, format_args!("{error:#}"));
        }
    };
    let shutdown = match shutdown(exit_with_stdin) {
        Ok(shutdown) => shutdown,
        Err(error) => return fail(Exit::No, format_args!("signals cannot be heard: {error}")),
    };
    match run(listener, config, http, security, tracing, shutdown).await {
        Ok(End::Asked) => Exit::Done.into(),
        Ok(End::Superseded) => Exit::Unavailable.into(),
        Err(error) => fail(Exit::No, format_args!("the threads for connections cannot start: {error}")),
    }
}

/// Resolves what was said and binds the port, which completes the address.
fn bind(mut said: Said) -> anyhow::Result<(TcpListener, Config, HttpLimits, Security, Option<TraceSettings>)> {
    let settings = Settings::load(&mut said)?;
    let seed = SysRng.try_next_u64()?;
    raise_open_files();
    let listener = accept::listen(settings.bind).map_err(|error| {
        anyhow::anyhow!("cannot listen on {}: {error}; choose another --port or --bind", settings.bind)
    })?;
    let config = settings.config(listener.local_addr()?.port(), seed)?;
    Ok((listener, config, settings.http, settings.security, settings.tracing))
}

/// Runs a node on a listener until `shutdown` completes, then lets it end in order.
///
/// # Errors
/// The system has no thread to give for connections.
pub(crate) async fn run(
    listener: TcpListener,
    config: Config,
    http: HttpLimits,
    security: Security,
    tracing: Option<TraceSettings>,
    shutdown: impl Future<Output = ()>,
) -> std::io::Result<End> {
    let workers = Arc::new(Workers::start()?);
    let (address, shards) = (config.address.clone(), config.bootstrap.shards().len());
    let (traces, export) = Traces::new(tracing, address.as_str());
    let exporting = export.map(|export| tokio::spawn(export.run()));
    let driver = Arc::new(Driver::new(config, traces));
    security.keep_fresh();
    let warning = listener.local_addr().ok().and_then(|listens_on| security.warning(listens_on.ip()));
    if let Some(open) = warning {
        tracing::warn!(open, "this node is not secured: see SECURITY.md");
    }
    let app = Arc::new(App::new(Arc::clone(&driver), http, security, &workers));
    let (drain, draining) = watch::channel(false);
    tokio::spawn(Arc::clone(&driver).run_timer());
    peer::start(&app);
    let accepting = tokio::spawn(accept::run(listener, Arc::clone(&app), Arc::clone(&workers), draining));
    tracing::info!(%address, shard = driver.shard().map(|shard| shard.0), shards, "serving");
    // Whoever started this process reads the address here. If nobody does, nothing is lost.
    let mut stdout = std::io::stdout();
    let _ = writeln!(stdout, "listening on {address}").and_then(|()| stdout.flush());

    let end = tokio::select! {
        () = shutdown => End::Asked,
        () = driver.stop.notified() => End::Superseded,
    };
    tracing::info!(?end, "shutting down");
    let deadline = Instant::now() + DRAIN_TIMEOUT;
    app.draining.store(true, Ordering::Relaxed);
    let _ = drain.send(true);
    let done = async {
        // Whoever is to get what this node held under a former view may have to connect to it first.
        while !driver.is_handed_over() {
            sleep(DRAIN_INTERVAL).await;
        }
        accepting.abort();
        while workers.connections() > 0 || !driver.is_drained() {
            sleep(DRAIN_INTERVAL).await;
        }
    };
    if timeout_at(deadline, done).await.is_err() {
        tracing::warn!(connections = workers.connections(), drained = driver.is_drained(), "ended before all was done");
    }
    accepting.abort();
    driver.traces.close();
    if let Some(exporting) = exporting
        && timeout_at(deadline, exporting).await.is_err()
    {
        tracing::warn!("ended before the collector had taken all spans");
    }
    for (epoch, entries) in driver.not_handed_over() {
        tracing::error!(
            epoch,
            entries,
            "ended before all that was held under a former view was handed over: what no other node holds is lost"
        );
    }
    Ok(end)
}

/// Completes when the process is asked to end.
fn shutdown(exit_with_stdin: bool) -> std::io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (stdin_open, mut stdin_ended) = watch::channel(());
    // Kept as long as the process is not to end with its standard input.
    let mut kept = Some(stdin_open);
    if exit_with_stdin && let Some(stdin_open) = kept.take() {
        std::thread::spawn(move || {
            let mut buffer = [0; 256];
            while matches!(std::io::stdin().read(&mut buffer), Ok(read) if read > 0) {}
            drop(stdin_open);
        });
    }
    Ok(async move {
        let _kept = kept;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = stdin_ended.changed() => {}
        }
    })
}

/// Every connection is an open file: asks the system for as many as it allows.
fn raise_open_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(soft, hard)| if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) });
    if let Err(error) = raised {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}
