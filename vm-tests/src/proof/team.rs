//! Observers side by side: what waits for an answer leaves the processors to the others.
//!
//! First everybody scans, then everybody talks: a guest whose processors take in 60,000 frames a second has no turn left for the
//! programs that a session waits for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use dmhost_layout::plan::HostPlan;
use dmhost_pki::Pki;

use super::canaries::Canaries;
use super::late::Late;
use super::observe::Observer;
use super::question::{Ask, Question};
use super::report::Cell;
use super::stations::Stations;
use crate::bed::Outside;

/// How many ask at a time.
const SIZE: usize = 4;

/// The observers.
#[derive(Debug)]
pub struct Team<'a> {
    observers: Vec<Observer<'a>>,
    /// Whether nothing more is asked when something is not as planned.
    until_red: bool,
    /// Whether something is not.
    red: AtomicBool,
}

/// What the scans decided, question by question.
#[derive(Debug)]
pub struct Scanned(Vec<Vec<Option<Cell>>>);

impl Scanned {
    /// What is decided already.
    pub fn cells(self) -> Vec<Cell> {
        self.0.into_iter().flatten().flatten().collect()
    }
}

impl<'a> Team<'a> {
    /// Makes ready: clients, and canaries through each NIC, for each observer its own.
    ///
    /// # Errors
    /// If the PKI lacks a client, or the fabric has stopped.
    pub fn new(plan: &'a HostPlan, bed: &'a Outside, pki: &Pki) -> Result<Self> {
        let first = Observer::new(plan, bed, pki)?;
        let mut all: Vec<_> = (1..SIZE).filter_map(|_| first.beside()).collect();
        all.push(first);
        Ok(Self { observers: all, until_red: false, red: AtomicBool::new(false) })
    }

    /// With `until_red` the questions after the first that is not as planned are left out.
    #[must_use]
    pub fn until_red(self, until_red: bool) -> Self {
        Self { until_red, ..self }
    }

    /// Whether questions were left out, since something is not as planned.
    pub fn halted(&self) -> bool {
        self.until_red && self.red.load(Ordering::Relaxed)
    }

    /// Probes sent so far, each port counted.
    pub fn probes(&self) -> u64 {
        self.observers.iter().map(Observer::probes).sum()
    }

    /// Where answers that come late are told.
    pub fn late(&self) -> Arc<Late> {
        Arc::clone(self.observers[self.observers.len() - 1].late())
    }

    /// The stations and the canaries, for probes of another kind.
    pub fn hands(&self) -> (&Stations, &Canaries) {
        // `new` has seen to it that there is one.
        self.observers[self.observers.len() - 1].hands()
    }

    /// The whole matrix of wire vantages.
    ///
    /// # Errors
    /// If the machine or the fabric has ended.
    pub fn ask(&mut self, questions: &[Question]) -> Result<Vec<Cell>> {
        let scanned = self.scan(questions)?;
        self.converse(questions, scanned)
    }

    /// Its TCP ports.
    ///
    /// # Errors
    /// As [`Team::ask`].
    pub fn scan(&mut self, questions: &[Question]) -> Result<Scanned> {
        let groups = groups(questions);
        let order = order(&groups, &self.observers[0]);
        let red = |cells: &Vec<Option<Cell>>| cells.iter().flatten().any(|cell| !cell.holds());
        self.each(&order, |observer, index| observer.knock(groups[index]), red).map(Scanned)
    }

    /// The rest of it.
    ///
    /// # Errors
    /// As [`Team::ask`].
    pub fn converse(&mut self, questions: &[Question], scanned: Scanned) -> Result<Vec<Cell>> {
        self.observers.iter_mut().for_each(Observer::refresh);
        let groups = groups(questions);
        let order: Vec<usize> = (0..groups.len()).collect();
        let scanned: Vec<_> = scanned.0.into_iter().map(Mutex::new).collect();
        let converse = |observer: &mut Observer<'_>, index: usize| {
            // Each group is worked on once.
            let cells = std::mem::take(&mut *scanned[index].lock().unwrap_or_else(PoisonError::into_inner));
            observer.converse(groups[index], cells)
        };
        let cells = self.each(&order, converse, |cells| !cells.iter().all(Cell::holds))?;
        Ok(cells.into_iter().flatten().collect())
    }

    /// Work on each group by whoever is free, begun in this order; the results are in the groups' own. A group that is left out has
    /// an empty one.
    fn each<T: Default + Send>(
        &mut self,
        order: &[usize],
        work: impl Fn(&mut Observer<'_>, usize) -> Result<T> + Sync,
        is_red: impl Fn(&T) -> bool + Sync,
    ) -> Result<Vec<T>> {
        let next = AtomicUsize::new(0);
        let Self { observers, until_red, red } = self;
        let (next, work, is_red, red) = (&next, &work, &is_red, &*red);
        let halted = || *until_red && red.load(Ordering::Relaxed);
        let halted = &halted;
        let mut done = std::thread::scope(|scope| {
            let working: Vec<_> = observers
                .iter_mut()
                .map(|observer| {
                    scope.spawn(move || {
                        let mut done = Vec::new();
                        while let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)).filter(|_| !halted()) {
                            let result = work(observer, *index)?;
                            red.fetch_or(is_red(&result), Ordering::Relaxed);
                            done.push((*index, result));
                        }
                        anyhow::Ok(done)
                    })
                })
                .collect();
            let mut done = BTreeMap::new();
            for thread in working {
                match thread.join() {
                    Ok(of_one) => done.extend(of_one?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            anyhow::Ok(done)
        })?;
        Ok((0..order.len()).map(|index| done.remove(&index).unwrap_or_default()).collect())
    }
}

/// Questions from one vantage to one address.
fn groups(questions: &[Question]) -> Vec<&[Question]> {
    questions.chunk_by(|one, next| one.vantage == next.vantage && one.target == next.target).collect()
}

/// The long ones first, so that nobody waits for one at the end; the NICs in turn, so that each processor of the guest has
/// one to serve.
fn order(groups: &[&[Question]], observer: &Observer<'_>) -> Vec<usize> {
    let mut order: Vec<usize> = (0..groups.len()).collect();
    let mut turns = BTreeMap::new();
    order.sort_by_cached_key(|index| {
        let group = groups[*index];
        let short = !group.iter().any(|question| matches!(question.ask, Ask::OtherPorts { .. }));
        let turn: &mut usize = turns.entry((short, observer.nic(&group[0].vantage))).or_default();
        *turn += 1;
        (short, *turn)
    });
    order
}
