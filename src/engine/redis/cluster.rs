//! A node of a cluster holds the keys of some slots. Those of the other slots are not in its snapshot.

use super::client::{ANSWER_TIMEOUT, Client};
use super::info::Info;
use crate::domain::{Cancel, LeftOut};
use crate::engine::tool::ToolError;
use crate::engine::{EngineError, Result};

/// How many slots a cluster has.
const SLOTS: usize = 16384;

/// What a snapshot of this server does not hold of its cluster.
pub(super) fn left_out(
    client: &Client<'_>,
    info: &Info,
    cancel: &Cancel,
) -> Result<Option<LeftOut>> {
    if !info.is_cluster_node() {
        return Ok(None);
    }
    let answer = client.tool().args(["CLUSTER", "NODES"]).timeout(ANSWER_TIMEOUT).output(cancel);
    let slots = match answer {
        Err(ToolError::Cancelled) => return Err(EngineError::Cancelled),
        // The user may lack the right to ask.
        Err(_) => None,
        Ok(answer) => missing_slots(&String::from_utf8_lossy(&answer)),
    };
    let what = match slots.as_deref() {
        Some("") => return Ok(None),
        Some(slots) => format!("the keys of the cluster's slots {slots}"),
        None => "the keys of the cluster's other nodes".to_owned(),
    };
    Ok(Some(LeftOut::new(
        what,
        "this server is one node of a cluster: back up a node of each shard",
    )))
}

/// The slots that neither the node that answered nor its master has: `8192-16383`. `None` if this is no answer.
fn missing_slots(nodes: &str) -> Option<String> {
    let nodes: Vec<Vec<&str>> =
        nodes.lines().map(|line| line.split_whitespace().collect()).collect();
    let myself = nodes.iter().find(|node| node.get(2).is_some_and(|it| it.contains("myself")))?;
    let master = nodes.iter().find(|node| node.first() == myself.get(3));
    let mut held = [false; SLOTS];
    for slots in [Some(myself), master].into_iter().flatten().flat_map(|node| node.iter().skip(8)) {
        let (first, last) = slots.split_once('-').unwrap_or((slots, slots));
        // Slots on the move are in brackets; they are held by the node that lists them plainly.
        let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>()) else {
            continue;
        };
        held.get_mut(first..=last.min(SLOTS - 1))?.fill(true);
    }
    Some(ranges(&held))
}

fn ranges(held: &[bool]) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut at = 0;
    for run in held.chunk_by(|one, other| one == other) {
        let last = at + run.len() - 1;
        if run.first() == Some(&false) {
            texts.push(if at == last { at.to_string() } else { format!("{at}-{last}") });
        }
        at = last + 1;
    }
    texts.join(", ")
}
