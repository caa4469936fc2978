//! What every kind of state must do; each function takes a new, empty one.

use larder_state::{Commit, Condition, State, Transaction, Write};
use std::sync::Arc;

/// Runs the whole suite; `new` makes an empty state each time it is called.
pub(crate) async fn every_promise_is_kept(mut new: impl FnMut() -> Arc<dyn State>) {
    an_empty_state_has_revision_zero_and_no_keys(&*new()).await;
    a_commit_is_seen_by_reads_with_its_revision(&*new()).await;
    a_prefix_finds_its_keys_in_order_and_no_others(&*new()).await;
    a_condition_that_fails_leaves_everything_as_it_was(&*new()).await;
    deleting_what_is_not_there_is_no_error(&*new()).await;
    any_bytes_come_back_as_they_were(&*new()).await;
    of_many_writers_one_wins(new()).await;
    a_watcher_is_woken_by_a_commit_and_not_by_a_conflict(new()).await;
}

fn put(key: &str, value: &str) -> Write {
    Write::Put(key.to_owned(), value.as_bytes().to_vec())
}

fn writes(writes: Vec<Write>) -> Transaction {
    Transaction { conditions: Vec::new(), writes }
}

async fn keys(state: &dyn State, prefix: &str) -> Vec<String> {
    state.range(prefix).await.unwrap().into_iter().map(|(key, _)| key).collect()
}

async fn an_empty_state_has_revision_zero_and_no_keys(state: &dyn State) {
    assert_eq!(state.revision().await.unwrap(), 0);
    assert_eq!(state.get("task/Nightly").await.unwrap(), None);
    assert!(state.range("").await.unwrap().is_empty());
}

async fn a_commit_is_seen_by_reads_with_its_revision(state: &dyn State) {
    assert_eq!(state.commit(writes(vec![put("a", "1"), put("b", "1")])).await.unwrap(), Commit::Done(1));
    assert_eq!(state.commit(writes(vec![put("b", "2")])).await.unwrap(), Commit::Done(2));
    let (a, b) = (state.get("a").await.unwrap().unwrap(), state.get("b").await.unwrap().unwrap());
    assert_eq!((a.value.as_slice(), a.revision), (&b"1"[..], 1));
    assert_eq!((b.value.as_slice(), b.revision), (&b"2"[..], 2));
    assert_eq!(state.revision().await.unwrap(), 2);
    assert_eq!(state.commit(writes(vec![Write::Delete("a".to_owned())])).await.unwrap(), Commit::Done(3));
    assert_eq!(state.get("a").await.unwrap(), None);
}

async fn a_prefix_finds_its_keys_in_order_and_no_others(state: &dyn State) {
    let all = ["task/B", "task/A", "task", "task0", "tas", "task/Ü", "source/A"];
    state.commit(writes(all.iter().map(|key| put(key, key)).collect())).await.unwrap();
    assert_eq!(keys(state, "task/").await, ["task/A", "task/B", "task/Ü"]);
    assert_eq!(keys(state, "zone/").await, [""; 0]);
    assert_eq!(keys(state, "").await.len(), all.len());
}

async fn a_condition_that_fails_leaves_everything_as_it_was(state: &dyn State) {
    state.commit(writes(vec![put("a", "1")])).await.unwrap();
    for condition in [
        Condition::Absent("a".to_owned()),
        Condition::AtRevision("a".to_owned(), 2),
        Condition::AtRevision("b".to_owned(), 1),
        Condition::AtRevision("b".to_owned(), 0),
    ] {
        let conditions = vec![Condition::AtRevision("a".to_owned(), 1), condition];
        let refused = Transaction { conditions, writes: vec![put("a", "2"), put("b", "2")] };
        assert_eq!(state.commit(refused).await.unwrap(), Commit::Conflict);
    }
    assert_eq!(state.get("a").await.unwrap().unwrap().value, b"1");
    assert_eq!(state.get("b").await.unwrap(), None);
    assert_eq!(state.revision().await.unwrap(), 1);
    let conditions = vec![Condition::AtRevision("a".to_owned(), 1), Condition::Absent("b".to_owned())];
    let accepted = Transaction { conditions, writes: vec![put("b", "2")] };
    assert_eq!(state.commit(accepted).await.unwrap(), Commit::Done(2));
}

async fn deleting_what_is_not_there_is_no_error(state: &dyn State) {
    assert_eq!(state.commit(writes(vec![Write::Delete("none".to_owned())])).await.unwrap(), Commit::Done(1));
}

async fn any_bytes_come_back_as_they_were(state: &dyn State) {
    for value in [Vec::new(), vec![0; 3], (0..=255).collect(), vec![7; 1 << 20]] {
        state.commit(writes(vec![Write::Put("k".to_owned(), value.clone())])).await.unwrap();
        assert_eq!(state.get("k").await.unwrap().unwrap().value, value);
    }
}

async fn of_many_writers_one_wins(state: Arc<dyn State>) {
    let mut running = tokio::task::JoinSet::new();
    for writer in 0..16 {
        let state = Arc::clone(&state);
        running.spawn(async move {
            let conditions = vec![Condition::Absent("lease".to_owned())];
            let take = Transaction { conditions, writes: vec![put("lease", &writer.to_string())] };
            state.commit(take).await.unwrap() != Commit::Conflict
        });
    }
    let winners = running.join_all().await.into_iter().filter(|won| *won).count();
    assert_eq!(winners, 1);
}

async fn a_watcher_is_woken_by_a_commit_and_not_by_a_conflict(state: Arc<dyn State>) {
    let mut watch = state.watch();
    assert_eq!(*watch.borrow_and_update(), 0);
    state.commit(writes(vec![put("a", "1")])).await.unwrap();
    let woken = tokio::time::timeout(std::time::Duration::from_secs(10), watch.changed()).await;
    woken.unwrap().unwrap();
    assert_eq!(*watch.borrow_and_update(), 1);
    let conditions = vec![Condition::Absent("a".to_owned())];
    state.commit(Transaction { conditions, writes: vec![put("a", "2")] }).await.unwrap();
    assert!(!watch.has_changed().unwrap());
}
