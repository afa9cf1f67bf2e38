//! Artifacts: what two runs, or one run twice, charge, bring and give up, while others settle what nobody names.
//!
//! Not every order ends as a serial one, and none has to: who settles passes over what is locked, and what it passed over
//! stays suspect until the next round. What must hold is asked of the rows and of the files after each order, and once more
//! after all suspects are settled. An eviction and an upload of two runs may wait for each other; Postgres ends one of them.

use crate::explore::{Ended, Explorer};
use crate::side::Side;
use crate::world::World;
use gauntlet_core::RunId;
use gauntlet_proto::edge::hex;
use gauntlet_results::interleave::{CONTENTS, Shelf, Transactions as Results};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use uuid::Uuid;

const BUDGET_BYTES: u64 = 100;
/// Two runs. An expiry takes the first alone.
const OLD: RunId = RunId(Uuid::from_u128(1));
const YOUNG: RunId = RunId(Uuid::from_u128(2));
/// Tables whose rows belong to a run each.
const OF_RUNS: [&str; 2] = ["run_artifacts", "artifact_budgets"];
/// Answers to uploads.
const BROUGHT: &str = "Ok(Wanted)Ok(())";
const STORED: &str = "Ok(Stored)";
const EVICTED: &str = "Ok(Evicted)";
/// Answers of who settles.
const NOTHING: &str = "Ok(Settled { looked_at: 0, removed: 0 })";
const REMOVED: &str = "Ok(Settled { looked_at: 1, removed: 1 })";

/// The answers to both sides, of all orders.
type Seen = BTreeSet<[String; 2]>;

/// Content that a run wants to keep.
#[derive(Debug, Clone, Copy)]
struct Piece {
    run: RunId,
    name: u8,
    size: usize,
    worth: i16,
}

impl Piece {
    fn content(&self) -> Vec<u8> {
        vec![self.name; self.size]
    }

    fn hash(&self) -> String {
        hex(&Sha256::digest(self.content()))
    }
}

fn piece(run: RunId, name: u8, size: usize, worth: i16) -> Piece {
    Piece { run, name, size, worth }
}

#[derive(Debug, Clone, Copy)]
enum Work {
    /// An upload that ends before its content came.
    Charge(Piece),
    Upload(Piece),
    Settle,
    Expire,
    /// A file that no row knows is found, and suspects are settled.
    Sweep(Piece),
}
use Work::{Charge, Expire, Settle, Sweep, Upload};

impl Work {
    async fn run(self, shelf: Shelf) -> String {
        match self {
            Charge(piece) => shelf.charge(piece.run, &piece.content(), piece.worth).await,
            Upload(piece) => {
                let charged = shelf.charge(piece.run, &piece.content(), piece.worth).await;
                if charged != "Ok(Wanted)" {
                    return charged;
                }
                charged + &shelf.bring(piece.run, &piece.content()).await.unwrap()
            }
            Settle => shelf.settle().await,
            Expire => shelf.expire(YOUNG).await,
            Sweep(piece) => {
                let adopted = shelf.adopt(&piece.content()).await;
                adopted + &shelf.settle().await
            }
        }
    }
}

/// What was done before, and the two that meet.
struct Scene<'a> {
    before: &'a [Work],
    sides: [Work; 2],
}

impl Scene<'_> {
    /// Returns the runs that charge, of each side.
    fn runs(&self) -> [Option<RunId>; 2] {
        self.sides.map(|side| match side {
            Charge(piece) | Upload(piece) => Some(piece.run),
            Settle | Expire | Sweep(_) => None,
        })
    }

    /// Returns what was brought, or was said to be there: as long as its run names it, it stays.
    fn brought(&self) -> impl Iterator<Item = Piece> {
        self.before.iter().chain(&self.sides).filter_map(|work| match work {
            Upload(piece) => Some(*piece),
            Charge(_) | Settle | Expire | Sweep(_) => None,
        })
    }
}

struct Bench {
    world: World,
    folder: TempDir,
    sides: [Shelf; 2],
    aside: Shelf,
}

impl Bench {
    async fn start() -> Self {
        let (mut world, folder) = (World::start().await, tempfile::tempdir().unwrap());
        world.tables.insert(CONTENTS.to_owned());
        let shelf =
            async |results: Results| results.artifacts(folder.path(), BUDGET_BYTES).await.unwrap();
        let sides = [shelf(world.results(0)).await, shelf(world.results(1)).await];
        let aside = shelf(world.results_aside()).await;
        Self { world, folder, sides, aside }
    }

    async fn set_up(&self, scene: &Scene<'_>) {
        let clear =
            "DELETE FROM artifacts; DELETE FROM run_artifacts; DELETE FROM artifact_budgets";
        self.world.sql.batch_execute(clear).await.unwrap();
        for name in self.files() {
            std::fs::remove_file(self.path(&name)).unwrap();
        }
        for side in &scene.sides {
            let Sweep(piece) = side else { continue };
            let path = self.path(&piece.hash());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, piece.content()).unwrap();
        }
        for work in scene.before {
            let answer = work.run(self.aside.clone()).await;
            assert!(answer.starts_with("Ok("), "{answer}");
        }
    }

    fn path(&self, hash: &str) -> PathBuf {
        self.folder.path().join(&hash[..2]).join(hash)
    }

    /// Returns which content is there.
    fn files(&self) -> BTreeSet<String> {
        let entries = |path: &Path| std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
        let folders = entries(self.folder.path()).filter(|entry| entry.file_name() != "parts");
        let files = folders.flat_map(|folder| entries(&folder.path()).collect::<Vec<_>>());
        files.map(|file| file.file_name().into_string().unwrap()).collect()
    }

    async fn texts(&self, query: &str) -> BTreeSet<String> {
        self.world.sql.query(query, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    /// Returns which run names what.
    async fn named(&self) -> BTreeSet<(String, String)> {
        let query =
            "SELECT run_id::text, encode(hash, 'hex') FROM run_artifacts WHERE gone IS NULL";
        let rows = self.world.sql.query(query, &[]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Returns what is wrong, whatever else happens.
    async fn wrong(&self, scene: &Scene<'_>) -> Vec<String> {
        let files = self.files();
        // What is given up for its age stays charged: its run ended long ago.
        let expires = scene.sides.iter().any(|side| matches!(side, Expire));
        let charges = format!(
            "SELECT format('%s is charged %s and keeps %s', run_id, used_bytes, kept) FROM artifact_budgets
             LEFT JOIN LATERAL (SELECT coalesce(sum(size_bytes), 0) AS kept FROM run_artifacts AS r
                 WHERE r.run_id = artifact_budgets.run_id AND gone IS NULL) AS k ON true
             WHERE used_bytes > {BUDGET_BYTES} OR kept > used_bytes OR kept < used_bytes AND NOT {expires}"
        );
        let mut wrong: Vec<_> = self.texts(&charges).await.into_iter().collect();
        let known = "SELECT encode(hash, 'hex') FROM artifacts WHERE suspect_at IS NULL";
        let (known, named) = (self.texts(known).await, self.named().await);
        let anyones: BTreeSet<_> = named.iter().map(|(_, hash)| hash.clone()).collect();
        wrong.extend(known.difference(&files).map(|hash| format!("{hash} is known and not there")));
        let nobodys = known.difference(&anyones);
        wrong.extend(nobodys.map(|hash| format!("{hash} is nobody's and not suspect")));
        for piece in scene.brought() {
            let (run, hash) = (piece.run.to_string(), piece.hash());
            if !files.contains(&hash) && named.contains(&(run, hash)) {
                wrong.push(format!("{piece:?} is named and not there"));
            }
        }
        wrong
    }

    /// Settles all suspects; returns what is wrong then.
    async fn settled(&self, scene: &Scene<'_>) -> Vec<String> {
        while self.aside.settle().await != NOTHING {}
        let mut wrong = self.wrong(scene).await;
        let anyones = self.named().await.into_iter().map(|(_, hash)| hash).collect();
        let nobodys = self.files();
        let nobodys = nobodys.difference(&anyones);
        wrong.extend(nobodys.map(|hash| format!("{hash} is nobody's and stays")));
        wrong
    }

    /// Steps a scene through every order; returns the answers seen, and how often the two waited for each other.
    #[expect(clippy::print_stdout, reason = "how much was tried is the result")]
    async fn every_order(&mut self, what: &str, scene: &Scene<'_>) -> (Seen, usize) {
        let tables = self.world.tables.clone();
        if let [Some(a), Some(b)] = scene.runs()
            && a != b
        {
            // Of these tables each touches the rows of its own run alone.
            self.world.tables.retain(|table| !OF_RUNS.contains(&table.as_str()));
        }
        let mut explorer = Explorer::that_repeats();
        let mut seen = BTreeSet::new();
        let begun = std::time::Instant::now();
        while explorer.next() {
            self.set_up(scene).await;
            let work = |side: usize| {
                let work = scene.sides[side].run(self.sides[side].clone());
                Side::start(work, self.world.pids(side))
            };
            let sides = [work(0).await, work(1).await];
            let Ended { order, answers } = explorer.run(&self.world, sides).await;
            assert!(!answers.concat().contains("Err"), "{answers:?} after {order:#?}");
            let wrong = self.wrong(scene).await;
            assert!(wrong.is_empty(), "{what}: {wrong:#?} with {answers:?} after {order:#?}");
            let wrong = self.settled(scene).await;
            assert!(
                wrong.is_empty(),
                "{what}: {wrong:#?} once settled, with {answers:?} after {order:#?}"
            );
            seen.insert(answers);
        }
        self.world.tables = tables;
        let Explorer { count, rings, .. } = explorer;
        println!(
            "{what}: {count} orders, {rings} rings in {} ms, {seen:?}",
            begun.elapsed().as_millis()
        );
        assert!(!explorer.is_cut, "{what}: more orders than are tried");
        (seen, rings)
    }
}

fn seen(answers: &[[&str; 2]]) -> Seen {
    answers.iter().map(|both| both.map(str::to_owned)).collect()
}

#[tokio::test]
async fn two_charges_of_a_run_never_keep_more_than_its_budget() {
    let mut bench = Bench::start().await;
    let sides = |a: (u8, usize, i16), b: (u8, usize, i16)| {
        [a, b].map(|(name, size, worth)| Upload(piece(OLD, name, size, worth)))
    };
    let kept = [Upload(piece(OLD, 9, 50, 0))];
    let (first, second) = ([BROUGHT, EVICTED], [EVICTED, BROUGHT]);
    let evicts = [[BROUGHT, BROUGHT], second];
    let shares = [[BROUGHT, BROUGHT], [BROUGHT, STORED], [STORED, BROUGHT]];
    for (what, before, sides, expected) in [
        ("worth the same", &[][..], sides((1, 60, 5), (2, 50, 5)), &[first, second][..]),
        ("one worth less", &[], sides((1, 60, 0), (2, 50, 5)), &evicts),
        ("both worth more", &kept, sides((1, 60, 5), (2, 50, 5)), &[first, second]),
        ("the same", &[], sides((1, 60, 5), (1, 60, 5)), &shares),
    ] {
        let (answers, _) = bench.every_order(what, &Scene { before, sides }).await;
        assert_eq!(answers, seen(expected), "{what}");
    }
}

#[tokio::test]
async fn content_that_a_run_was_told_is_stored_is_not_removed_by_who_settles() {
    let mut bench = Bench::start().await;
    let lost = piece(OLD, 1, 60, 0);
    let wanted = Upload(Piece { run: YOUNG, ..lost });
    let before = [Upload(lost), Upload(piece(OLD, 2, 60, 5))];
    let given_up = Scene { before: &before, sides: [wanted, Settle] };
    let (answers, _) = bench.every_order("given up", &given_up).await;
    assert!(answers.is_superset(&seen(&[[BROUGHT, REMOVED]])), "{answers:?}");
    let kept = Scene { before: &[Upload(lost)], sides: [wanted, Settle] };
    let (answers, _) = bench.every_order("kept", &kept).await;
    assert_eq!(answers, seen(&[[STORED, NOTHING]]));
    let found = Scene { before: &[], sides: [wanted, Sweep(lost)] };
    let (answers, _) = bench.every_order("left by a crash", &found).await;
    assert!(answers.is_superset(&seen(&[[BROUGHT, &format!("Ok(()){REMOVED}")]])), "{answers:?}");
}

#[tokio::test]
async fn what_is_given_up_while_it_is_settled_is_settled_again() {
    let mut bench = Bench::start().await;
    let (old, young) = (piece(OLD, 1, 60, 0), piece(YOUNG, 1, 60, 0));
    // One run gave it up, so it is suspect; the other names it.
    let before = [Upload(old), Upload(young), Upload(piece(YOUNG, 2, 60, 5))];
    let sides = [Upload(piece(OLD, 3, 60, 5)), Settle];
    bench.every_order("for the budget", &Scene { before: &before, sides }).await;
    let sides = [Expire, Settle];
    bench.every_order("for its age", &Scene { before: &before, sides }).await;
}

#[tokio::test]
async fn an_eviction_leaves_content_to_another_run_that_uploads_it() {
    let mut bench = Bench::start().await;
    let (lost, other) = (piece(OLD, 1, 60, 0), piece(OLD, 2, 60, 5));
    let sides = [Upload(other), Upload(Piece { run: YOUNG, ..lost })];
    let (answers, _) = bench.every_order("stored", &Scene { before: &[Upload(lost)], sides }).await;
    assert_eq!(answers, seen(&[[BROUGHT, STORED], [BROUGHT, BROUGHT]]));
    let (answers, _) =
        bench.every_order("on its way", &Scene { before: &[Charge(lost)], sides }).await;
    assert_eq!(answers, seen(&[[BROUGHT, BROUGHT]]));
    // Each gives up what the other one wants.
    let before = [Upload(lost), Upload(Piece { run: YOUNG, worth: 0, ..other })];
    let sides = [Upload(other), Upload(Piece { run: YOUNG, worth: 5, ..lost })];
    let (_, rings) = bench.every_order("crosswise", &Scene { before: &before, sides }).await;
    assert!(rings > 0, "they never meet in the wrong order");
}

#[tokio::test]
async fn an_expiry_leaves_content_to_who_uploads_it() {
    let mut bench = Bench::start().await;
    let (old, more) = (piece(OLD, 1, 60, 0), piece(OLD, 2, 60, 5));
    for (what, before, sides) in [
        ("of its run", Upload(old), [Upload(old), Expire]),
        ("of its run, on its way", Charge(old), [Upload(old), Expire]),
        ("of its run, that gives it up", Upload(old), [Upload(more), Expire]),
        ("of another", Upload(old), [Upload(Piece { run: YOUNG, ..old }), Expire]),
    ] {
        let (answers, _) = bench.every_order(what, &Scene { before: &[before], sides }).await;
        assert!(answers.iter().any(|[_, expired]| expired == "Ok(1)"), "{what}: {answers:?}");
    }
}
