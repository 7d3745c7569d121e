//! `precede cert`: makes an authority and certificates of nodes, for trying TLS where there is no other authority at hand.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use crate::exit::{Exit, fail, print_line};

/// What the authority is called. With its key it is all that its certificates are signed with.
const AUTHORITY: &str = "Precede authority";
const AUTHORITY_FILES: [&str; 2] = ["ca.pem", "ca-key.pem"];
const SECONDS_PER_YEAR: u64 = 31_556_952;

/// Options of `precede cert`.
#[derive(Debug, Args)]
pub(crate) struct CertArgs {
    /// What to make.
    #[command(subcommand)]
    command: CertCommand,
}

#[derive(Debug, Subcommand)]
enum CertCommand {
    /// Make an authority: ca.pem, which all nodes and clients get, and ca-key.pem, which nobody gets
    Ca(DirectoryArgs),
    /// Make a node's certificate by the authority in the directory: NAME.pem and NAME-key.pem, good to the end of next year
    Node(NodeArgs),
}

#[derive(Debug, Args)]
struct DirectoryArgs {
    /// Where the files are; none is written over
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

#[derive(Debug, Args)]
struct NodeArgs {
    /// The node's host name or IP address as the view has it, and others by which it is spoken to
    #[arg(required = true, value_name = "HOST")]
    hosts: Vec<String>,
    /// Where.
    #[command(flatten)]
    directory: DirectoryArgs,
}

/// A certificate and its key, in PEM.
pub(crate) struct Made {
    /// The certificate.
    pub(crate) certificate: String,
    /// Its key.
    pub(crate) key: String,
}

/// Runs `precede cert`.
pub(crate) fn command(args: &CertArgs) -> ExitCode {
    let made = match &args.command {
        CertCommand::Ca(directory) => make_authority(&directory.dir),
        CertCommand::Node(node) => make_node(&node.directory.dir, &node.hosts),
    };
    match made {
        Ok(paths) => {
            let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
            print_line(&paths.join("\n"), Exit::Done)
        }
        Err(error) => fail(Exit::No, format_args!("{error:#}")),
    }
}

fn make_authority(directory: &Path) -> anyhow::Result<[PathBuf; 2]> {
    std::fs::create_dir_all(directory).map_err(|error| anyhow::anyhow!("{}: {error}", directory.display()))?;
    write(AUTHORITY_FILES.map(|name| directory.join(name)), &authority()?)
}

fn make_node(directory: &Path, hosts: &[String]) -> anyhow::Result<[PathBuf; 2]> {
    let read = |name: &str| {
        let path = directory.join(name);
        std::fs::read_to_string(&path)
            .map_err(|error| anyhow::anyhow!("{}: {error}; make an authority first: precede cert ca", path.display()))
    };
    let authority = Made { certificate: read(AUTHORITY_FILES[0])?, key: read(AUTHORITY_FILES[1])? };
    let first = hosts[0].replace(['/', '\\'], "_");
    let paths = [format!("{first}.pem"), format!("{first}-key.pem")].map(|name| directory.join(name));
    write(paths, &node(&authority, hosts)?)
}

/// Makes an authority.
///
/// # Errors
/// No random numbers.
pub(crate) fn authority() -> anyhow::Result<Made> {
    let key = KeyPair::generate()?;
    let certificate = authority_params()?.self_signed(&key)?;
    Ok(Made { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// Makes a certificate for a node that is called so: good to dial by, and to be dialled.
///
/// # Errors
/// A host that is none; a key that is none.
pub(crate) fn node(authority: &Made, hosts: &[String]) -> anyhow::Result<Made> {
    let issuer = Issuer::new(authority_params()?, KeyPair::from_pem(&authority.key)?);
    let mut params = CertificateParams::new(hosts.to_vec())?;
    params.distinguished_name = named(&hosts[0]);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = date_time_ymd(year() - 1, 1, 1);
    params.not_after = date_time_ymd(year() + 2, 1, 1);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(Made { certificate: certificate.pem(), key: key.serialize_pem() })
}

fn authority_params() -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = named(AUTHORITY);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(year() - 1, 1, 1);
    params.not_after = date_time_ymd(year() + 10, 1, 1);
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// This year, as near as a calendar without leap days comes.
fn year() -> i32 {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    1970 + i32::try_from(seconds / SECONDS_PER_YEAR).unwrap_or_default()
}

/// Writes a certificate for all to read and its key for its owner; nothing is written over.
fn write(paths: [PathBuf; 2], made: &Made) -> anyhow::Result<[PathBuf; 2]> {
    for (path, text, mode) in [(&paths[0], &made.certificate, 0o644), (&paths[1], &made.key, 0o600)] {
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(mode).open(path);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    }
    Ok(paths)
}
