//! Sessions kept in files.

use precede_client::{Client, SessionFile, SessionFileError};
use tempfile::tempdir;

fn client() -> Client {
    Client::new(["127.0.0.1:1"]).expect("a valid address")
}

#[test]
fn a_session_comes_back_from_its_file() {
    let folder = tempdir().unwrap();
    let file = SessionFile::new(folder.path().join("session"));
    assert!(file.load(&client()).unwrap().context().is_empty(), "no file is an empty session");
    for token in ["one", "one,two", ""] {
        file.save(&client().session_from_token(token).unwrap()).unwrap();
        assert_eq!(file.load(&client()).unwrap().to_token(), token);
    }
    let names: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["session"], "nothing else is left behind");
}

#[test]
fn a_damaged_file_is_told_by_name_and_left_alone() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("session");
    std::fs::write(&path, "precede-session 1\nabc\n0000000000000000\n").unwrap();
    let error = SessionFile::new(&path).load(&client()).unwrap_err();
    assert!(matches!(error, SessionFileError::Damaged { .. }));
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    assert!(path.exists());
}

#[test]
fn a_file_that_cannot_be_read_or_written_is_told_so() {
    let folder = tempdir().unwrap();
    let not_a_file = SessionFile::new(folder.path());
    assert!(matches!(not_a_file.load(&client()), Err(SessionFileError::Read { .. })));
    let session = client().session_from_token("t").unwrap();
    let no_folder = SessionFile::new(folder.path().join("missing/session"));
    assert!(matches!(no_folder.save(&session), Err(SessionFileError::Write { .. })));
    assert!(matches!(SessionFile::new("/").save(&session), Err(SessionFileError::Write { .. })));
    assert!(matches!(not_a_file.save(&session), Err(SessionFileError::Write { .. })));
}
