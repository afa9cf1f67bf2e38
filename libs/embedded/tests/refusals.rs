//! What the store refuses, and that each refusal says how to mend it.

use gauntlet_embedded::{EmbeddedConfig, EmbeddedError, EmbeddedStore};

use crate::support::{Folder, temp_dir};

#[tokio::test]
async fn data_of_another_major_version_is_refused_by_both_names() {
    let folder = Folder::new();
    let config = EmbeddedConfig::persistent(folder.path());
    EmbeddedStore::start(&config).await.unwrap().stop().await;
    std::fs::write(folder.path().join("postgres/PG_VERSION"), "9\n").unwrap();

    let error = EmbeddedStore::start(&config).await.unwrap_err();
    let EmbeddedError::WrongMajor { data_major, found, .. } = &error else { panic!("{error}") };
    assert_eq!(data_major, "9");
    assert!(!found.is_empty());
    assert!(error.to_string().contains("sudo apt-get install postgresql-9"), "{error}");
}

#[tokio::test]
async fn a_missing_program_is_named_with_the_command_that_installs_it() {
    let folder = Folder::new();
    let empty = tempfile::tempdir().unwrap();
    let config = EmbeddedConfig {
        search_dirs: Some(vec![empty.path().to_owned()]),
        ..EmbeddedConfig::persistent(folder.path())
    };
    let error = EmbeddedStore::start(&config).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::MissingProgram { .. }), "{error}");
    assert!(error.to_string().contains("sudo apt-get install postgresql redis-server"), "{error}");
}

#[tokio::test]
async fn a_folder_with_other_things_in_it_is_left_alone() {
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("thesis.txt"), "years of work").unwrap();
    let config = EmbeddedConfig::ephemeral(other.path());
    let error = EmbeddedStore::start(&config).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::NotOurs { .. }), "{error}");
    assert!(other.path().join("thesis.txt").exists());
}

#[tokio::test]
async fn an_ephemeral_start_does_not_take_a_persistent_folder() {
    let folder = Folder::new();
    EmbeddedStore::start(&EmbeddedConfig::persistent(folder.path())).await.unwrap().stop().await;
    let error = EmbeddedStore::start(&EmbeddedConfig::ephemeral(folder.path())).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::Persistent { .. }), "{error}");
    assert!(folder.path().join("postgres/PG_VERSION").exists());
}

#[tokio::test]
async fn a_lost_password_is_an_error_and_not_a_new_password() {
    let folder = Folder::new();
    let config = EmbeddedConfig::persistent(folder.path());
    EmbeddedStore::start(&config).await.unwrap().stop().await;
    std::fs::remove_file(folder.path().join("password")).unwrap();
    let error = EmbeddedStore::start(&config).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::PasswordMissing { .. }), "{error}");
}

#[tokio::test]
async fn as_root_a_closed_parent_folder_is_named() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let closed = temp_dir(0o700);
    let config = EmbeddedConfig::persistent(closed.path().join("data"));
    let error = EmbeddedStore::start(&config).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::NotTraversable { .. }), "{error}");
    let mend = format!("chmod o+x {}", closed.path().display());
    assert!(error.to_string().contains(&mend), "{error}");
}

#[tokio::test]
async fn a_server_that_cannot_start_shows_the_end_of_its_log() {
    let folder = Folder::new();
    let config = EmbeddedConfig::persistent(folder.path());
    EmbeddedStore::start(&config).await.unwrap().stop().await;
    std::fs::remove_file(folder.path().join("postgres/global/pg_control")).unwrap();
    let error = EmbeddedStore::start(&config).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::ExitedEarly { server: "postgres", .. }), "{error}");
    assert!(error.to_string().contains("pg_control"), "{error}");
    assert_eq!(folder.servers(), [], "redis was stopped again");
}
