//! A server under load.

use std::thread;

use crate::error::LoadError;
use crate::outcome::{Outcome, Progress};
use crate::target::Target;
use crate::worker::Worker;
use crate::{Plan, Shape, Until};

/// Connections to a server, open and ready to load it.
pub struct Load {
    workers: Vec<Worker>,
}

impl Load {
    /// Opens all connections of a plan, none for [`Shape::Connect`].
    ///
    /// # Errors
    /// [`LoadError`]: the plan means nothing, or not all connections could be opened; those that were are closed.
    pub fn open(target: &Target, plan: &Plan) -> Result<Self, LoadError> {
        check(plan)?;
        let threads = plan.threads.min(plan.connections);
        let share = |thread| plan.connections / threads + usize::from(thread < plan.connections % threads);
        let workers = (0..threads).map(|thread| {
            let connections = share(thread);
            let plan =
                Plan { shape: share_of_rate(plan.shape, connections, plan.connections), ..plan.clone() };
            Worker::new(target.clone(), &plan, connections)
        });
        let mut workers = workers.collect::<Result<Vec<_>, _>>()?;
        in_parallel(&mut workers, |_, worker| worker.open())?;
        Ok(Self { workers })
    }

    /// What the connections do in the runs from now on.
    ///
    /// # Errors
    /// [`LoadError::Plan`]: it means nothing for a plan of so many connections and threads. They go on as before.
    pub fn set_shape(&mut self, shape: Shape) -> Result<(), LoadError> {
        let all: usize = self.workers.iter().map(Worker::connections).sum();
        check_shape(shape, all, self.workers.len())?;
        for worker in &mut self.workers {
            worker.set_shape(share_of_rate(shape, worker.connections(), all));
        }
        Ok(())
    }

    /// Loads the server, waits for what is on its way at the end, and leaves the connections open for another run. A
    /// connection that fails is counted, and takes no further part.
    ///
    /// # Errors
    /// [`LoadError`]: the system could not. What the server does wrong is in the [`Outcome`].
    pub fn run(&mut self, until: Until, progress: &Progress) -> Result<Outcome, LoadError> {
        let threads = self.workers.len() as u64;
        let outcomes = in_parallel(&mut self.workers, |thread, worker| {
            let until = match until {
                Until::Messages(all) => {
                    Until::Messages(all / threads + u64::from((thread as u64) < all % threads))
                }
                Until::Elapsed(_) => until,
            };
            worker.run(until, progress)
        })?;
        let mut outcomes = outcomes.into_iter();
        let mut total = outcomes.next().unwrap_or_else(Outcome::new);
        outcomes.for_each(|outcome| total.merge(outcome));
        Ok(total)
    }
}

fn check(plan: &Plan) -> Result<(), LoadError> {
    if plan.connections == 0 || plan.threads == 0 {
        return Err(LoadError::Plan("there must be at least one connection and one thread"));
    }
    check_shape(plan.shape, plan.connections, plan.threads)
}

fn check_shape(shape: Shape, connections: usize, threads: usize) -> Result<(), LoadError> {
    match shape {
        Shape::Echo { rate: Some(rate), .. } | Shape::Publish { rate: Some(rate), .. }
            if !(rate.is_finite() && rate > 0.0) =>
        {
            Err(LoadError::Plan("the rate must be more than 0 messages a second"))
        }
        Shape::Broadcast { .. } | Shape::Publish { .. } if threads > 1 => {
            Err(LoadError::Plan("what goes to all is sent and received by one thread"))
        }
        Shape::Publish { .. } if connections < 2 => {
            Err(LoadError::Plan("there must be a connection to publish, and one to receive"))
        }
        _ => Ok(()),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share of a rate")]
fn share_of_rate(shape: Shape, connections: usize, all: usize) -> Shape {
    match shape {
        Shape::Echo { in_flight, rate: Some(rate) } => {
            Shape::Echo { in_flight, rate: Some(rate * connections as f64 / all as f64) }
        }
        shape => shape,
    }
}

/// Does `work` for each worker, on a thread of its own where there is more than one.
fn in_parallel<T: Send>(
    workers: &mut [Worker],
    work: impl Fn(usize, &mut Worker) -> Result<T, LoadError> + Sync,
) -> Result<Vec<T>, LoadError> {
    if let [worker] = workers {
        return Ok(vec![work(0, worker)?]);
    }
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = workers
            .iter_mut()
            .enumerate()
            .map(|(number, worker)| scope.spawn(move || work(number, worker)))
            .collect();
        let results = threads.into_iter().map(thread::ScopedJoinHandle::join);
        results.map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}
