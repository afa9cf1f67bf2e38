//! What the testkit promises to the tests that stand on it.

#![expect(clippy::unwrap_used, reason = "clippy knows test functions, not the helpers beside them")]

use std::os::unix::process::CommandExt as _;
use std::time::Duration;

use gauntlet_testkit::{
    FakeWebhookReceiver, GauntletProcess, TestDatabase, TestStore, kill9, processes_with_marker,
    wait_until,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_postgres::NoTls;

const SCHEMA: &str = "CREATE TABLE things (n int); INSERT INTO things VALUES (1)";
const LIMIT: Duration = Duration::from_secs(10);

async fn count(url: &str) -> anyhow::Result<i64> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let query = async {
        let row = client.query_one("SELECT count(*) FROM things", &[]).await?;
        Ok(row.get(0))
    };
    tokio::select! { done = query => done, _ = connection => anyhow::bail!("connection ended") }
}

async fn execute(url: String, statements: &str) -> anyhow::Result<()> {
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
    tokio::select! {
        done = client.batch_execute(statements) => Ok(done?),
        _ = connection => anyhow::bail!("connection ended"),
    }
}

async fn database(label: &str) -> TestDatabase {
    TestDatabase::create(label, SCHEMA, async |url| execute(url, SCHEMA).await).await
}

#[tokio::test]
async fn two_databases_share_a_schema_and_no_row() {
    let (one, two) = tokio::join!(database("one"), database("two"));
    execute(one.url().to_owned(), "INSERT INTO things VALUES (2)").await.unwrap();
    assert_eq!(count(one.url()).await.unwrap(), 2);
    assert_eq!(count(two.url()).await.unwrap(), 1);
}

#[tokio::test]
async fn a_template_is_migrated_once_whatever_the_number_of_databases() {
    let _first = database("first").await;
    let _second = TestDatabase::create("second", SCHEMA, async |_| {
        panic!("the template exists, so this must not run")
    })
    .await;
}

#[tokio::test(flavor = "local")]
async fn a_template_whose_migration_failed_is_made_again() {
    // A new schema each time, for servers that outlive the tests.
    let schema = TestStore::shared().await.redis_prefix();
    let mut broken = tokio::task::JoinSet::new();
    let same = schema.clone();
    broken.spawn_local(async move {
        TestDatabase::create("broken", &same, async |_| anyhow::bail!("no such column")).await
    });
    let panic = broken.join_next().await.unwrap().unwrap_err().into_panic();
    let message = panic.downcast::<String>().unwrap();
    assert!(message.contains("no such column"), "{message}");
    let mended = TestDatabase::create("mended", &schema, async |url| execute(url, SCHEMA).await);
    assert_eq!(count(mended.await.url()).await.unwrap(), 1);
}

#[tokio::test]
async fn a_dropped_database_is_gone_even_while_it_is_in_use() {
    let database = database("dropped").await;
    let (url, name) = (database.url().to_owned(), database.name().to_owned());
    let (_client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    drop(database);
    assert!(connection.await.is_err(), "the connection was cut");
    let error = count(&url).await.unwrap_err();
    assert!(format!("{error:?}").contains(&name), "{error:?}");
}

#[tokio::test]
async fn redis_answers_and_prefixes_do_not_meet() {
    let store = TestStore::shared().await;
    assert_ne!(store.redis_prefix(), store.redis_prefix());
    assert!(store.redis_url().starts_with("redis://"));
}

#[tokio::test]
async fn a_condition_that_comes_true_is_returned() {
    let mut left = 3;
    let value = wait_until(LIMIT, "three polls", async || {
        left -= 1;
        if left == 0 { Ok("done") } else { Err(left) }
    });
    assert_eq!(value.await, "done");
}

#[tokio::test]
#[should_panic(expected = "the moon is full; last seen \"waxing\"")]
async fn a_condition_that_stays_false_panics_with_the_last_state() {
    let limit = Duration::from_millis(50);
    wait_until::<(), _>(limit, "the moon is full", async || Err("waxing")).await;
}

#[tokio::test]
#[should_panic(expected = "the probe hung")]
async fn a_probe_that_hangs_is_given_up() {
    let limit = Duration::from_millis(50);
    let probe = async || std::future::pending::<Result<(), ()>>().await;
    wait_until(limit, "never", probe).await;
}

async fn post(receiver: &FakeWebhookReceiver, body: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(receiver.addr()).await.unwrap();
    let length = body.len();
    let request = format!(
        "POST /hook?x=1 HTTP/1.1\r\nhost: h\r\nx-signature: abc\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    reply
}

#[tokio::test]
async fn a_webhook_receiver_replies_as_told_and_keeps_every_request() {
    let receiver = FakeWebhookReceiver::start().await;
    receiver.reply_with(500);
    receiver.reply_with_retry_after(429, 7);
    assert!(post(&receiver, "one").await.starts_with("HTTP/1.1 500"));
    let limited = post(&receiver, "two").await;
    assert!(limited.starts_with("HTTP/1.1 429") && limited.contains("retry-after: 7"), "{limited}");
    assert!(post(&receiver, "three").await.starts_with("HTTP/1.1 200"));
    let received = receiver.wait_for(3, LIMIT).await;
    let bodies: Vec<_> = received.iter().map(|request| request.body.as_ref()).collect();
    assert_eq!(bodies, [b"one".as_slice(), b"two", b"three"]);
    assert_eq!(received[0].header("x-signature"), Some("abc"));
    assert_eq!(received[0].uri, "/hook?x=1");
}

#[tokio::test]
async fn a_process_is_found_by_its_marker_until_it_is_killed() {
    let marker = format!("marker-{}", std::process::id());
    let mut child = std::process::Command::new("sleep").arg("600").arg0(&marker).spawn().unwrap();
    // The command line is the parent's until the child has executed its program.
    let found = wait_until(LIMIT, "the marked process", async || {
        let found = processes_with_marker(&marker);
        if found.len() == 1 { Ok(found) } else { Err(found) }
    })
    .await;
    kill9(found[0]);
    child.wait().unwrap();
    assert!(processes_with_marker(&marker).is_empty());
}

fn shell(script: &str) -> GauntletProcess {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script]);
    GauntletProcess::spawn_command(command)
}

#[tokio::test]
async fn a_process_is_interrupted_and_its_output_is_kept() {
    let mut process =
        shell("trap 'echo draining; exit 3' INT; echo ready; while :; do sleep 0.05; done");
    process.wait_for_output("ready", LIMIT).await;
    process.sigstop();
    process.sigint();
    assert!(process.is_running(), "a stopped process sees no signal");
    process.sigcont();
    assert_eq!(process.wait(LIMIT).await.code(), Some(3));
    assert!(process.output().ends_with("draining\n"), "{}", process.output());
}

#[tokio::test]
#[should_panic(expected = "before it printed \"ready\":\nno config")]
async fn a_process_that_ends_early_shows_its_output() {
    shell("echo no config; exit 2").wait_for_output("ready", LIMIT).await;
}

#[tokio::test]
async fn a_dropped_process_is_killed() {
    let process = shell("exec sleep 600");
    let pid = process.pid();
    drop(process);
    assert!(rustix::process::test_kill_process(pid).is_err(), "{pid:?} is gone");
}
