//! The changes of each circuit, as one listener is told of them.

use std::collections::{HashMap, VecDeque};

use purgatory::{Event, Name, State};

/// So many changes of each circuit are kept: a call that is later than that is not placed any more.
const KEPT: usize = 64;

/// The changes of each circuit, as one listener is told of them: each has to begin where the last one ended.
#[derive(Default)]
pub(crate) struct Chains(HashMap<Name, VecDeque<(u64, State)>>);

impl Chains {
    /// Takes an event, and says what is wrong with it.
    pub(crate) fn take(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Created { circuit, .. } => {
                self.0.insert(circuit.clone(), VecDeque::from([(0, State::Closed)]));
                Ok(())
            }
            Event::StateChanged { circuit, change, .. } => {
                // A listener that came later does not know what was before.
                let chain = self.0.entry(circuit.clone()).or_default();
                let last = chain.back().copied();
                if chain.len() == KEPT {
                    chain.pop_front();
                }
                chain.push_back((change.generation, change.to));
                match last {
                    Some((generation, state))
                        if state != change.from || generation >= change.generation =>
                    {
                        Err(format!("after {state} in generation {generation}: {change:?}"))
                    }
                    _ if change.from == change.to => Err(format!("no change: {change:?}")),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// The state that began the generation, if it is known still.
    pub(crate) fn state_at(&self, circuit: &Name, generation: u64) -> Option<State> {
        let chain = self.0.get(circuit)?;
        let before = chain.partition_point(|&(began, _)| began <= generation);
        chain.get(before.checked_sub(1)?).map(|&(_, state)| state)
    }

    /// What the circuit is, and since which generation at the latest.
    pub(crate) fn last(&self, circuit: &str) -> Option<(u64, State)> {
        self.0.get(circuit)?.back().copied()
    }

    pub(crate) fn forget(&mut self, circuit: &str) {
        self.0.remove(circuit);
    }
}
