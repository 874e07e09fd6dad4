//! Threads that work on several jobs at the same time and return the results in order.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::error::{ArchiveError, Result};
use crate::domain::num::to_u64;

/// The number of a job and its result; `None` if the job panicked.
type Answer<R> = (u64, Option<R>);

/// Threads for jobs `J` with results `R`. To bound memory, the caller takes a result whenever
/// [`Pool::is_full`] before it submits another job.
#[derive(Debug)]
pub(crate) struct Pool<J, R> {
    /// `None` once the pool is being dropped.
    jobs: Option<Sender<(u64, J)>>,
    /// The receiving end of `jobs`, to empty the queue when the pool is dropped.
    queue: Receiver<(u64, J)>,
    answers: Receiver<Answer<R>>,
    /// Results that came before their turn.
    early: BTreeMap<u64, Option<R>>,
    submitted: u64,
    taken: u64,
    limit: u64,
    threads: Vec<JoinHandle<()>>,
}

impl<J: Send + 'static, R: Send + 'static> Pool<J, R> {
    /// Starts `workers` threads, 1 to 64; each has its own function from `make`.
    pub(crate) fn start<F>(workers: usize, mut make: impl FnMut() -> Result<F>) -> Result<Self>
    where
        F: FnMut(J) -> R + Send + 'static,
    {
        let (jobs, queue) = unbounded::<(u64, J)>();
        let (answer, answers) = unbounded::<Answer<R>>();
        let workers = workers.clamp(1, 64);
        let mut pool = Self {
            jobs: Some(jobs),
            queue,
            answers,
            early: BTreeMap::new(),
            submitted: 0,
            taken: 0,
            limit: to_u64(workers + 2),
            threads: Vec::new(),
        };
        for number in 0..workers {
            let mut work = make()?;
            let (queue, answer) = (pool.queue.clone(), answer.clone());
            let thread = std::thread::Builder::new()
                .name(format!("archive-{number}"))
                .spawn(move || {
                    for (number, job) in queue {
                        let result = catch_unwind(AssertUnwindSafe(|| work(job))).ok();
                        let panicked = result.is_none();
                        // Sending fails if the pool is being dropped.
                        if answer.send((number, result)).is_err() || panicked {
                            return;
                        }
                    }
                })
                .map_err(|error| ArchiveError::Internal(format!("no thread ({error})")))?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Whether a result should be taken before the next job is submitted.
    pub(crate) const fn is_full(&self) -> bool {
        self.submitted - self.taken >= self.limit
    }

    pub(crate) fn submit(&mut self, job: J) -> Result<()> {
        let jobs = self.jobs.as_ref().ok_or_else(no_threads)?;
        jobs.send((self.submitted, job)).map_err(|_job| no_threads())?;
        self.submitted += 1;
        Ok(())
    }

    /// Waits for the result of the oldest job whose result was not taken; `None` if there is no such job.
    pub(crate) fn next(&mut self) -> Result<Option<R>> {
        if self.taken == self.submitted {
            return Ok(None);
        }
        loop {
            if let Some(result) = self.early.remove(&self.taken) {
                self.taken += 1;
                let panicked = || ArchiveError::Internal("a thread panicked".to_owned());
                return result.ok_or_else(panicked).map(Some);
            }
            let (number, result) = self.answers.recv().map_err(|_closed| no_threads())?;
            self.early.insert(number, result);
        }
    }

    /// Submits all jobs and handles their results in the same order.
    pub(crate) fn run<E: From<ArchiveError>>(
        mut self,
        jobs: impl IntoIterator<Item = Result<J, E>>,
        mut handle: impl FnMut(R) -> Result<(), E>,
    ) -> Result<(), E> {
        for job in jobs {
            if self.is_full()
                && let Some(result) = self.next()?
            {
                handle(result)?;
            }
            self.submit(job?)?;
        }
        while let Some(result) = self.next()? {
            handle(result)?;
        }
        Ok(())
    }

    /// Like [`Pool::next`], but does not wait: `None` if that result is not there yet.
    pub(crate) fn try_next(&mut self) -> Result<Option<R>> {
        self.early.extend(self.answers.try_iter());
        if self.early.contains_key(&self.taken) { self.next() } else { Ok(None) }
    }
}

fn no_threads() -> ArchiveError {
    ArchiveError::Internal("all threads have ended".to_owned())
}

impl<J, R> Drop for Pool<J, R> {
    /// Ends the threads as soon as each has finished its job. Jobs that wait are dropped, because nobody takes
    /// their results, and at a high compression level they could take longer than the server has to shut down.
    fn drop(&mut self) {
        self.jobs = None;
        self.queue.try_iter().for_each(drop);
        for thread in self.threads.drain(..) {
            // A panic was caught and is reported as the result of its job.
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
        // Dropping the sender ends the job that has begun.
        drop(go_on);
        dropping.join().unwrap();
        assert_eq!(first_begins.try_iter().count(), 0);
    }

    #[test]
    fn a_job_that_panics_is_an_error_and_not_an_endless_wait() {
        let mut pool = Pool::start(1, || Ok(|number: u64| 100 / number)).unwrap();
        pool.submit(0).unwrap();
        assert!(matches!(pool.next(), Err(ArchiveError::Internal(_))));
    }
}
