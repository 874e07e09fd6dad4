//! Threads that do jobs at once and give the results back in order.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::error::ArchiveError;

/// A result with its number; `None`: the job panicked.
type Answer<R> = (u64, Option<R>);

/// Workers for jobs `J` with results `R`. As many jobs are under way as [`Pool::submit`] was called
/// more often than [`Pool::next`]: the caller bounds memory by looking at [`Pool::is_full`].
#[derive(Debug)]
pub(super) struct Pool<J, R> {
    jobs: Option<Sender<(u64, J)>>,
    /// The other end of the queue, to empty it when the work is given up.
    queue: Receiver<(u64, J)>,
    answers: Receiver<Answer<R>>,
    early: BTreeMap<u64, Option<R>>,
    submitted: u64,
    taken: u64,
    limit: u64,
    threads: Vec<JoinHandle<()>>,
}

impl<J: Send + 'static, R: Send + 'static> Pool<J, R> {
    /// Starts `workers` threads (1 at least); each works with what `make` gives it.
    pub(super) fn start<F>(
        workers: usize,
        mut make: impl FnMut() -> Result<F, ArchiveError>,
    ) -> Result<Self, ArchiveError>
    where
        F: FnMut(J) -> R + Send + 'static,
    {
        let (jobs, job_queue) = unbounded::<(u64, J)>();
        let (answer, answers) = unbounded::<Answer<R>>();
        let workers = workers.clamp(1, 64);
        let limit = u64::try_from(workers + 2).unwrap_or(4);
        let mut pool = Self {
            jobs: Some(jobs),
            queue: job_queue,
            answers,
            early: BTreeMap::new(),
            submitted: 0,
            taken: 0,
            limit,
            threads: Vec::new(),
        };
        for number in 0..workers {
            let mut work = make()?;
            let (queue, answer) = (pool.queue.clone(), answer.clone());
            let thread = std::thread::Builder::new()
                .name(format!("archive-{number}"))
                .spawn(move || {
                    for (ticket, job) in queue {
                        let result = catch_unwind(AssertUnwindSafe(|| work(job))).ok();
                        let ended = result.is_none();
                        // Nobody listens any more when the work was given up.
                        if answer.send((ticket, result)).is_err() || ended {
                            return;
                        }
                    }
                })
                .map_err(|error| ArchiveError::Worker(format!("no thread ({error})")))?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Whether a result should be taken before the next job is given.
    pub(super) const fn is_full(&self) -> bool {
        self.submitted - self.taken >= self.limit
    }

    /// Gives a job.
    pub(super) fn submit(&mut self, job: J) -> Result<(), ArchiveError> {
        let gone = || ArchiveError::Worker("all threads have ended".to_owned());
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send((self.submitted, job)).map_err(|_gone| gone())?;
        self.submitted += 1;
        Ok(())
    }

    /// Waits for the result of the oldest job whose result was not taken; `None`: there is no such job.
    pub(super) fn next(&mut self) -> Result<Option<R>, ArchiveError> {
        if self.taken == self.submitted {
            return Ok(None);
        }
        loop {
            if let Some(result) = self.early.remove(&self.taken) {
                self.taken += 1;
                let panicked = || ArchiveError::Worker("a thread panicked".to_owned());
                return result.ok_or_else(panicked).map(Some);
            }
            let answer = self.answers.recv();
            let (ticket, result) = answer
                .map_err(|_gone| ArchiveError::Worker("all threads have ended".to_owned()))?;
            self.early.insert(ticket, result);
        }
    }

    /// The same without waiting; `None`: it is not there yet.
    pub(super) fn ready(&mut self) -> Result<Option<R>, ArchiveError> {
        while let Ok((ticket, result)) = self.answers.try_recv() {
            self.early.insert(ticket, result);
        }
        if self.early.contains_key(&self.taken) { self.next() } else { Ok(None) }
    }
}

impl<J, R> Drop for Pool<J, R> {
    /// Ends the threads, once each has done the job it is at. What is still in the queue is dropped:
    /// nobody takes the results, and at a high level the jobs would outlast the server's shutdown.
    fn drop(&mut self) {
        self.jobs = None;
        self.queue.try_iter().for_each(drop);
        for thread in self.threads.drain(..) {
            // A panic was caught and told as an answer already.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_jobs() {
        let mut pool = Pool::start(3, || Ok(|number: u64| number * 2)).unwrap();
        let mut seen = Vec::new();
        for number in 0..100 {
            while pool.is_full() {
                seen.extend(pool.next().unwrap());
            }
            pool.submit(number).unwrap();
        }
        while let Some(result) = pool.next().unwrap() {
            seen.push(result);
        }
        assert_eq!(seen, (0..100).map(|number| number * 2).collect::<Vec<_>>());
    }

    #[test]
    fn jobs_that_wait_are_dropped_with_the_pool() {
        let (begun, first_begins) = unbounded();
        let (go_on, may_go_on) = unbounded::<()>();
        let work = move |number: u64| {
            begun.send(number).unwrap();
            may_go_on.recv().unwrap_err();
        };
        let mut pool = Pool::start(1, || Ok(work.clone())).unwrap();
        drop(work);
        for number in 0..4 {
            pool.submit(number).unwrap();
        }
        assert_eq!(first_begins.recv(), Ok(0));
        let queue = pool.queue.clone();
        let dropping = std::thread::spawn(move || drop(pool));
        while !queue.is_empty() {
            std::thread::yield_now();
        }
        // Without its sender every job that has begun ends.
        drop(go_on);
        dropping.join().unwrap();
        assert_eq!(first_begins.try_iter().count(), 0);
    }

    #[test]
    fn a_job_that_panics_is_an_error_and_not_a_wait_for_ever() {
        let mut pool = Pool::start(1, || Ok(|number: u64| 100 / number)).unwrap();
        pool.submit(0).unwrap();
        assert!(matches!(pool.next(), Err(ArchiveError::Worker(_))));
    }
}
