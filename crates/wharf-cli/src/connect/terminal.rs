//! A terminal: a line that is edited at its bottom, while what comes is printed above.
//!
//! Editing blocks, so it has a thread, and printing, which waits for the editor, has another.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{env, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustyline::config::{BellStyle, Config};
use rustyline::history::MemHistory;
use rustyline::{Editor, ExternalPrinter};
use tokio::sync::{mpsc, oneshot};
use tokio::time;

use super::history::{History, MOST_LINES, is_kept};

const PROMPT: &str = "> ";
/// Texts that may wait to be printed; then nothing more is received.
const WAITING: usize = 64;
/// As much is printed at once, so that many short messages do not each draw the line anew.
const BATCH: usize = 64 << 10;
/// How long the editor may take to stop before it is told again.
const RETRY: Duration = Duration::from_millis(20);
/// Up a line and down again: prints nothing.
const NOTHING: &str = "\x1b[A\n";

/// The terminal, while lines are typed.
#[derive(Debug)]
pub(super) struct Terminal {
    texts: mpsc::Sender<String>,
    /// Resolve when their threads have ended.
    edited: oneshot::Receiver<()>,
    printed: oneshot::Receiver<()>,
    editor: Arc<EditorState>,
}

/// What the editor's thread and the session know of each other.
#[derive(Debug, Default)]
struct EditorState {
    /// No further line is to be edited.
    is_stopping: AtomicBool,
    /// A line is being edited: an interrupt ends it, and reaches nobody else.
    is_editing: AtomicBool,
}

/// A line that was typed. The next one is edited when this has been dropped by [`go_on`](Self::go_on).
#[derive(Debug)]
pub(super) struct Line {
    pub(super) text: String,
    go_on: oneshot::Sender<Option<String>>,
}

/// The lines, as they are typed.
#[derive(Debug)]
pub(super) struct Lines(mpsc::Receiver<Line>);

impl Lines {
    /// The next line; none after Ctrl-D, Ctrl-C or the terminal's end.
    ///
    /// Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Line> {
        self.0.recv().await
    }
}

impl Line {
    /// Prints what there is to say about it, with its newline, and lets the next line be edited. A line that is dropped
    /// without this is the last.
    pub(super) fn go_on(self, answer: Option<String>) {
        // The editor waits for it, unless it is being stopped.
        let _ = self.go_on.send(answer);
    }
}

impl Terminal {
    /// Whether lines can be edited: somebody types, and sees what is typed.
    pub(super) fn is_there() -> bool {
        let term = env::var("TERM").unwrap_or_default();
        let can_edit = !["", "dumb", "cons25", "emacs"].contains(&term.as_str());
        io::stdin().is_terminal() && io::stdout().is_terminal() && can_edit
    }

    /// Begins to edit. Ctrl-C becomes the end of the lines; other interrupts must be handled by the program, since
    /// [`stop`](Self::stop) sends itself one.
    ///
    /// # Errors
    /// In one sentence, why the terminal cannot be used.
    pub(super) fn open(history: Option<History>) -> Result<(Self, Lines), String> {
        let (line_sender, lines) = mpsc::channel(1);
        let (texts, waiting_texts) = mpsc::channel(WAITING);
        let (edit_done, editor_ended) = oneshot::channel();
        let (print_done, texts_printed) = oneshot::channel();
        let editor = Arc::<EditorState>::default();

        let mut line_editor =
            line_editor(history.as_ref()).map_err(|error| format!("cannot edit lines: {error}"))?;
        let printer = line_editor.create_external_printer();
        let printer = printer.map_err(|error| format!("cannot print beside a line: {error}"))?;
        let state = editor.clone();
        start_thread("editor", move || {
            edit(line_editor, history.as_ref(), &line_sender, &state);
            drop(edit_done);
        })?;
        start_thread("printer", move || {
            print(waiting_texts, printer);
            drop(print_done);
        })?;
        Ok((Self { texts, edited: editor_ended, printed: texts_printed, editor }, Lines(lines)))
    }

    /// Room to print one text in, above the line that is being edited, as soon as there is some; none where nothing can
    /// be printed any more. The text ends with a newline.
    ///
    /// Cancel safe.
    pub(super) async fn room(&self) -> Option<mpsc::Permit<'_, String>> {
        self.texts.reserve().await.ok()
    }

    /// Waits until everything has been printed, once the lines have ended by themselves: there was no line any more,
    /// or the last one did not go on.
    pub(super) async fn ended(self) {
        drop(self.texts);
        let _ = self.printed.await;
        let _ = self.edited.await;
    }

    /// Waits until everything has been printed, ends the line that is being edited, and gives the terminal back.
    pub(super) async fn stop(mut self, lines: Lines) {
        self.editor.is_stopping.store(true, Ordering::SeqCst);
        // First, since the printer waits for an editor that waits for a line to go on.
        drop(lines);
        drop(self.texts);
        let _ = self.printed.await;
        // It waits for a key or for an interrupt, and may just have looked whether it is to stop: so it is told again.
        while time::timeout(RETRY, &mut self.edited).await.is_err() {
            if self.editor.is_editing.load(Ordering::SeqCst) {
                let _ = kill(Pid::this(), Signal::SIGINT);
            }
        }
    }
}

fn start_thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map(drop).map_err(|error| format!("cannot start a thread: {error}"))
}

fn line_editor(history: Option<&History>) -> rustyline::Result<Editor<(), MemHistory>> {
    let config = Config::builder()
        .max_history_size(MOST_LINES)?
        .history_ignore_dups(true)?
        .bell_style(BellStyle::None)
        .build();
    let mut editor = Editor::with_history(config.clone(), MemHistory::with_config(&config))?;
    for line in history.map(History::load).unwrap_or_default() {
        editor.add_history_entry(line)?;
    }
    Ok(editor)
}

/// Edits one line after the other, until there are no more or it is told to stop.
fn edit(
    mut editor: Editor<(), MemHistory>,
    history: Option<&History>,
    lines: &mpsc::Sender<Line>,
    state: &EditorState,
) {
    while !state.is_stopping.load(Ordering::SeqCst) {
        state.is_editing.store(true, Ordering::SeqCst);
        let read = editor.readline(PROMPT);
        state.is_editing.store(false, Ordering::SeqCst);
        // Ctrl-C, Ctrl-D, or a terminal that is gone.
        let Ok(text) = read else { return };
        if is_kept(&text) {
            // A line that is not kept can still be sent.
            let _ = editor.add_history_entry(text.as_str());
            let _ = history.map(|history| history.add(&text));
        }
        let (go_on, may_go_on) = oneshot::channel();
        if lines.blocking_send(Line { text, go_on }).is_err() {
            return;
        }
        match may_go_on.blocking_recv() {
            // No line is being edited now: nothing has to be kept whole. A terminal that is gone ends the next line.
            Ok(Some(answer)) => drop(io::stdout().write_all(answer.as_bytes())),
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

fn print(mut texts: mpsc::Receiver<String>, mut printer: impl ExternalPrinter) {
    while let Some(mut batch) = texts.blocking_recv() {
        while batch.len() < BATCH
            && let Ok(text) = texts.try_recv()
        {
            batch.push_str(&text);
        }
        // The editor has ended: there is no line any more to be kept whole.
        if printer.print(batch.clone()).is_err() && io::stdout().write_all(batch.as_bytes()).is_err() {
            return;
        }
    }
    // The editor takes a text when it has printed the one before: then the last one has been.
    let _ = printer.print(NOTHING.to_owned());
}
