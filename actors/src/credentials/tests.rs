//! Files that change under a server that takes one password.

use super::keeper::{Door, Kept};
use super::*;
use aqueduct_engine::{Class, Keeper};
use futures::FutureExt;
use futures::future::BoxFuture;
use secrecy::ExposeSecret;
use std::path::Path;

/// Takes this password, and counts how often it was asked.
#[derive(Clone, Default)]
struct Server {
    takes: Arc<Mutex<String>>,
    asked: Arc<AtomicU64>,
}

impl Server {
    fn takes(&self, password: &str) {
        *self.takes.lock().unwrap() = password.to_owned();
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Door for Server {
    fn prove<'a>(&'a self, login: &'a Login) -> BoxFuture<'a, Result<(), Error>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let right = login.password().is_some_and(|it| it.expose_secret() == *self.takes.lock().unwrap());
        async move { if right { Ok(()) } else { Err(Error::new(Class::Config, "wrong password")) } }.boxed()
    }
}

struct Scene {
    folder: tempfile::TempDir,
    server: Server,
    credentials: Arc<Credentials>,
    keeper: Kept<Server>,
}

impl Scene {
    fn new(password: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = Files { password: Some(folder.path().join("password")), ..Files::default() };
        let credentials = Credentials::new("redis", "t", files, Clock::system());
        let server = Server::default();
        let scene =
            Self { keeper: Kept::new(credentials.clone(), server.clone()), folder, server, credentials };
        scene.write(password);
        scene
    }

    fn write(&self, password: &str) {
        std::fs::write(self.folder.path().join("password"), password).unwrap();
    }

    fn in_use(&self) -> String {
        self.credentials.login().unwrap().password().unwrap().expose_secret().to_owned()
    }

    fn view(&self) -> SecretView {
        self.keeper.views().remove(0)
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_told_of_and_the_one_before_stays_until_a_right_one_comes() {
    let scene = Scene::new("first");
    scene.server.takes("first");
    scene.keeper.look().await;
    let first = scene.view();
    assert!(first.proven_us.is_some() && first.refused.is_none(), "{first:?}");

    scene.write("wrong");
    scene.keeper.look().await;
    let held = scene.view();
    assert_eq!((scene.in_use().as_str(), &held.generation), ("first", &first.generation));
    let refused = held.refused.expect("told of");
    assert!(refused.reason == "wrong password" && refused.generation != first.generation, "{refused:?}");
    let asked = scene.server.asked();
    scene.keeper.look().await;
    assert_eq!(scene.server.asked(), asked, "a server is not asked the same at every look");

    scene.server.takes("second");
    scene.write("second");
    let old = scene.credentials.login().unwrap();
    scene.keeper.look().await;
    let taken = scene.view();
    assert_eq!((scene.in_use().as_str(), &taken.refused), ("second", &None));
    assert_ne!(taken.generation, first.generation);
    assert!(old.is_outdated() && taken.older_connections == 1, "{taken:?}");
    drop(old);
    assert_eq!(scene.view().older_connections, 0);
}

#[tokio::test]
async fn until_a_server_has_let_us_in_the_files_are_read_at_each_attempt() {
    let scene = Scene::new("wrong");
    scene.server.takes("right");
    scene.keeper.look().await;
    assert!(!scene.credentials.is_proven());
    scene.write("right");
    assert_eq!(scene.in_use(), "right");
    scene.credentials.login().unwrap().proven();
    scene.write("another");
    assert_eq!(scene.in_use(), "right");
}

#[tokio::test]
async fn a_file_that_is_gone_or_comes_back_as_it_was_changes_nothing() {
    let scene = Scene::new("first");
    scene.server.takes("first");
    scene.keeper.look().await;
    std::fs::remove_file(scene.folder.path().join("password")).unwrap();
    scene.keeper.look().await;
    let reason = scene.view().refused.expect("told of").reason;
    assert!(reason.contains("password_file"), "{reason}");
    assert_eq!(scene.in_use(), "first");
    scene.write("first");
    scene.keeper.look().await;
    assert_eq!(scene.view().refused, None);
}

#[tokio::test]
async fn after_a_refusal_what_the_files_hold_is_worth_a_try() {
    let scene = Scene::new("first");
    let login = scene.credentials.login().unwrap();
    login.proven();
    assert!(login.another().is_none());
    scene.write("second");
    let another = login.another().expect("something else");
    assert!(another.is_outdated() && !login.is_outdated(), "not yet in use");
    another.adopt();
    assert!(login.is_outdated() && !another.is_outdated());
    assert_eq!(scene.in_use(), "second");
}

/// Kubernetes' way: a link `..data` to a folder, exchanged as a whole.
#[tokio::test]
async fn an_exchanged_link_is_a_change_without_any_write() {
    let folder = tempfile::tempdir().unwrap();
    let put = |version: &str| {
        let data = folder.path().join(version);
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("password"), version).unwrap();
        std::os::unix::fs::symlink(&data, folder.path().join("..data_tmp")).unwrap();
        std::fs::rename(folder.path().join("..data_tmp"), folder.path().join("..data")).unwrap();
    };
    put("one");
    let path: &Path = &folder.path().join("password");
    std::os::unix::fs::symlink("..data/password", path).unwrap();
    let files = Files { password: Some(path.to_owned()), ..Files::default() };
    let credentials = Credentials::new("kafka", "t", files, Clock::system());
    let server = Server::default();
    let keeper = Kept::new(credentials.clone(), server.clone());
    for version in ["one", "two"] {
        if version == "two" {
            put("two");
        }
        server.takes(version);
        keeper.look().await;
        let login = credentials.login().unwrap();
        assert_eq!(login.password().unwrap().expose_secret(), version);
    }
}
