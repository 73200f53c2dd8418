use std::future::pending;
use std::sync::atomic::AtomicUsize;
use std::task::Wake;

use tokio::runtime::{Builder, Runtime};

use super::super::{Timer, by};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn paused() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Arms a timer in the name of a task that counts how often it is woken.
fn arm(timer: &mut Timer, deadline: Instant, count: &Arc<Count>) {
    timer.arm(Some(deadline), now(), &mut Context::from_waker(&Waker::from(count.clone())));
}

/// Lets all other tasks run until they wait.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

/// Lets time pass, and what was due run.
async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
    settle().await;
}

/// A task of one timer: when it was woken.
async fn until(deadline: Instant) -> Instant {
    let never = by(deadline.into(), pending::<()>()).await;
    assert!(never.is_none());
    now()
}

#[test]
fn each_task_is_woken_at_its_own_deadline_whichever_was_armed_first() {
    paused().block_on(async {
        let begin = now();
        let tasks: Vec<_> = [5, 3, 8, 3, 1]
            .map(|seconds| (seconds, tokio::spawn(until(begin + seconds * SECOND))))
            .into_iter()
            .collect();
        for (seconds, task) in tasks {
            assert_eq!(task.await.unwrap() - begin, seconds * SECOND);
        }
    });
}

#[test]
fn what_is_ready_by_its_deadline_or_was_so_at_once_is_given_out() {
    paused().block_on(async {
        let begin = now();
        let in_time = by((begin + 2 * SECOND).into(), Box::pin(until(begin + SECOND)));
        assert_eq!(in_time.await, Some(begin + SECOND));
        assert_eq!(by(begin.into(), std::future::ready(7)).await, Some(7));
        assert_eq!(by(begin.into(), pending::<()>()).await, None);
        assert!(TimerQueue::of_this_runtime(now()).lock().heap.is_empty());
    });
}

#[test]
fn a_deadline_that_has_passed_wakes_at_once_and_takes_no_place() {
    paused().block_on(async {
        let (mut timer, count) = (Timer::default(), Arc::default());
        arm(&mut timer, now(), &count);
        assert_eq!((count.get(), timer.is_ahead_of(now())), (1, false));
    });
}

#[test]
fn a_deadline_that_moves_away_leaves_the_timer_as_it_is_and_one_that_comes_nearer_moves_it() {
    paused().block_on(async {
        let (mut timer, count) = (Timer::default(), Arc::default());
        let begin = now();
        arm(&mut timer, begin + 5 * SECOND, &count);
        arm(&mut timer, begin + 9 * SECOND, &count);
        pass(6 * SECOND).await;
        assert_eq!((count.get(), timer.is_ahead_of(now())), (1, false), "woken at the old one");
        arm(&mut timer, begin + 9 * SECOND, &count);
        arm(&mut timer, begin + 7 * SECOND, &count);
        pass(SECOND).await;
        assert_eq!(count.get(), 2, "woken at the nearer one");
        pass(9 * SECOND).await;
        assert_eq!(count.get(), 2, "and not again");
    });
}

#[test]
fn a_timer_that_is_dropped_wakes_nobody_and_holds_nothing_of_its_task() {
    paused().block_on(async {
        let count = Arc::default();
        let queue = TimerQueue::of_this_runtime(now());
        let mut timers: Vec<_> = (0..1000).map(|_| Timer::default()).collect();
        for (timer, seconds) in timers.iter_mut().zip(1..) {
            arm(timer, now() + seconds * SECOND, &count);
        }
        assert_eq!(Arc::strong_count(&count), 1001);
        timers.truncate(1);
        assert_eq!(Arc::strong_count(&count), 2);
        drop(timers);
        assert_eq!(Arc::strong_count(&count), 1);
        assert!(queue.lock().heap.is_empty());
        pass(2000 * SECOND).await;
        assert_eq!(count.get(), 0);
    });
}

#[test]
fn the_alarm_is_not_set_where_nobody_waits() {
    paused().block_on(async {
        let (mut timer, count) = (Timer::default(), Arc::default());
        arm(&mut timer, now() + SECOND, &count);
        let queue = TimerQueue::of_this_runtime(now());
        settle().await;
        assert_eq!(queue.lock().next_look, queue.moment(now() + SECOND));
        drop(timer);
        settle().await;
        assert_eq!(queue.lock().next_look, NEVER);
        // A timer that was left would have the paused clock run up to it while this waits for another thread.
        let before = now();
        let (done, is_done) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || done.send(()));
        is_done.await.unwrap();
        assert_eq!(now(), before);
    });
}

#[test]
fn a_task_that_was_woken_keeps_its_place_from_those_who_come_later() {
    paused().block_on(async {
        let [first, second] = [Arc::<Count>::default(), Arc::default()];
        let [mut firsts, mut seconds] = [Timer::default(), Timer::default()];
        arm(&mut firsts, now() + SECOND, &first);
        pass(SECOND).await;
        arm(&mut seconds, now() + SECOND, &second);
        drop(firsts);
        pass(SECOND).await;
        assert_eq!((first.get(), second.get()), (1, 1));
    });
}

#[test]
fn the_tasks_of_a_runtime_share_a_queue_and_those_of_another_have_their_own() {
    let runtimes = [paused(), paused()];
    let queues = [0, 1, 0, 1].map(|runtime: usize| {
        let _context = runtimes[runtime].enter();
        TimerQueue::of_this_runtime(now())
    });
    assert!(Arc::ptr_eq(&queues[0], &queues[2]) && Arc::ptr_eq(&queues[1], &queues[3]));
    assert!(!Arc::ptr_eq(&queues[0], &queues[1]));
    let other_thread = std::thread::scope(|scope| {
        scope.spawn(|| runtimes[0].block_on(async { TimerQueue::of_this_runtime(now()) })).join().unwrap()
    });
    assert!(Arc::ptr_eq(&queues[0], &other_thread));
}

#[test]
fn runtimes_one_after_the_other_on_one_thread_each_wake_their_own_tasks() {
    for _ in 0..3 {
        paused().block_on(async {
            let begin = now();
            assert_eq!(until(begin + SECOND).await - begin, SECOND);
        });
    }
}

#[test]
fn a_runtime_that_ends_leaves_no_queue_behind_and_a_timer_may_outlive_it() {
    let (mut timer, count) = (Timer::default(), Arc::default());
    let runtime = paused();
    let queue = runtime.block_on(async {
        arm(&mut timer, now() + SECOND, &count);
        settle().await;
        TimerQueue::of_this_runtime(now())
    });
    drop(runtime);
    assert!(queue.is_over.load(Ordering::Acquire));
    let queue = {
        let weak = Arc::downgrade(&queue);
        drop(queue);
        weak
    };
    assert!(alive(&queue).is_none());
    std::thread::spawn(move || drop(timer)).join().unwrap();
    assert_eq!((Arc::strong_count(&count), queue.strong_count()), (1, 0));
    paused().block_on(async { TimerQueue::of_this_runtime(now()) });
    assert!(!QUEUES.lock().unwrap().iter().any(|(_, other)| other.ptr_eq(&queue)));
}

#[test]
fn tasks_that_move_between_threads_are_woken_all_the_same() {
    let runtime = Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..1000_u64 {
            tasks.spawn(async move {
                for step in 1..5 {
                    until(now() + Duration::from_micros((number * 7919 * step) % 5000)).await;
                    tokio::task::yield_now().await;
                }
            });
        }
        assert_eq!(tasks.join_all().await.len(), 1000);
        assert!(TimerQueue::of_this_runtime(now()).lock().heap.is_empty());
    });
}
