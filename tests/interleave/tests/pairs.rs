//! The pairs, and what holds for every order of each.

use crate::explore::{Ended, Explorer};
use crate::side::{Side, Stand};
use crate::world::{Pair, World};

/// The transactions of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Admit,
    Claim,
    Renew,
    Reap,
    Complete,
    HandBack,
    Abort,
    Stop,
    Ingest,
    Seal,
    Close,
}

impl Kind {
    const ALL: [Self; 11] = [
        Self::Admit,
        Self::Claim,
        Self::Renew,
        Self::Reap,
        Self::Complete,
        Self::HandBack,
        Self::Abort,
        Self::Stop,
        Self::Ingest,
        Self::Seal,
        Self::Close,
    ];

    /// Whether it is about one shard.
    fn has_shard(self) -> bool {
        use Kind::{Complete, HandBack, Ingest, Reap, Renew};
        matches!(self, Renew | Reap | Complete | HandBack | Ingest)
    }
}

/// What an end looks like: the rows, and what the callers were told.
type End = (String, [String; 2]);

/// Returns how the two end one after the other.
async fn serial(world: &World, pair: &Pair, first: usize) -> End {
    world.restore().await;
    let mut answers = [String::new(), String::new()];
    for side in [first, 1 - first] {
        answers[side] = world.work(pair, side).await;
    }
    (world.rows().await, answers)
}

/// Steps a pair through every order; returns how far it came.
async fn every_order(world: &World, pair: &Pair) -> Explorer {
    world.set_up(pair).await;
    let expected = [serial(world, pair, 0).await, serial(world, pair, 1).await];
    let mut explorer = Explorer::default();
    while explorer.next() {
        world.restore().await;
        let sides = [
            Side::start(world.work(pair, 0), world.pids(0)).await,
            Side::start(world.work(pair, 1), world.pids(1)).await,
        ];
        assert!(sides.iter().all(|side| matches!(side.stand, Stand::Before(_))), "{pair:?}");
        let Ended { order, answers } = explorer.run(world, sides).await;
        let end = (world.rows().await, answers);
        assert!(
            expected.contains(&end),
            "{pair:?} in the order {order:#?}\nends as\n{end:#?}\nand one after the other as\n{expected:#?}"
        );
        let violations = world.violations().await;
        assert!(violations.is_empty(), "{pair:?} in the order {order:#?}: {violations:#?}");
    }
    explorer
}

/// Steps a transaction with itself and with all that follow it in the list.
#[expect(clippy::print_stdout, reason = "how much was tried is the result")]
async fn with_all_others(kind: Kind) {
    let world = World::start().await;
    let place = Kind::ALL.iter().position(|other| *other == kind).unwrap();
    for other in &Kind::ALL[place..] {
        let kinds = [kind, *other];
        // Two that are about shards meet at one, and at two of a run.
        let apart = kinds.iter().all(|kind| kind.has_shard());
        for shards in [[0, 0], [0, 1]].into_iter().take(1 + usize::from(apart)) {
            let begun = std::time::Instant::now();
            let Explorer { count, is_cut, .. } = every_order(&world, &Pair { kinds, shards }).await;
            let shards = if shards == [0, 1] { ", another shard" } else { "" };
            let ms = begun.elapsed().as_millis();
            let cut = if is_cut { ", not all" } else { "" };
            println!("{kind:?} and {other:?}{shards}: {count} orders{cut} in {ms} ms");
        }
    }
}

#[tokio::test]
async fn every_order_of_admit_and_others_ends_as_a_serial_one() {
    with_all_others(Kind::Admit).await;
}

#[tokio::test]
async fn every_order_of_claim_and_others_ends_as_a_serial_one() {
    with_all_others(Kind::Claim).await;
}

#[tokio::test]
async fn every_order_of_renew_and_others_ends_as_a_serial_one() {
    with_all_others(Kind::Renew).await;
}

#[tokio::test]
async fn every_order_of_reap_and_others_ends_as_a_serial_one() {
    with_all_others(Kind::Reap).await;
}

#[tokio::test]
async fn every_order_of_complete_and_others_ends_as_a_serial_one() {
    with_all_others(Kind::Complete).await;
}

#[tokio::test]
async fn every_order_of_hand_back_and_others_ends_as_a_serial_one() {
    with_all_others(Kind::HandBack).await;
}

#[tokio::test]
async fn every_order_of_abort_and_others_ends_as_a_serial_one() {
    with_all_others(Kind::Abort).await;
}

#[tokio::test]
async fn every_order_of_stop_and_others_ends_as_a_serial_one() {
    with_all_others(Kind::Stop).await;
}

#[tokio::test]
async fn every_order_of_ingest_and_others_ends_as_a_serial_one() {
    with_all_others(Kind::Ingest).await;
}

#[tokio::test]
async fn every_order_of_seal_and_others_ends_as_a_serial_one() {
    with_all_others(Kind::Seal).await;
}

#[tokio::test]
async fn every_order_of_close_and_close_ends_as_a_serial_one() {
    with_all_others(Kind::Close).await;
}
