//! The layouts of the messages: the number of the kind, then the fields in their order.

use std::sync::Arc;

use super::error::CodecError;
use super::primitives::{Input, MOST, Output, TEXT_BYTES, Wire};
use crate::cluster::message::{
    Answer, Followed, Hello, LogLine, OrphanRules, Phase, Refusal, RunOrders, RunStanding, Scripts, ToMaster, ToWorker, Welcome, WorkerId,
};
use crate::load::slots::{Handover, Orders, SlotSet};
use crate::plan::RunId;
use crate::stats::floor::Floor;

impl Wire for ToWorker {
    fn put(&self, out: &mut Output) {
        match self {
            Self::Welcome(welcome) => {
                out.byte(0);
                welcome.put(out);
            }
            Self::Refuse(text) => {
                out.byte(1);
                out.text(text, TEXT_BYTES);
            }
            Self::Prepare(plan) => {
                out.byte(2);
                plan.put(out);
            }
            Self::Orders(orders) => {
                out.byte(3);
                orders.put(out);
            }
            Self::Answer(answer) => {
                out.byte(4);
                answer.put(out);
            }
            Self::Abandon(run) => {
                out.byte(5);
                run.put(out);
            }
            Self::Farewell => out.byte(6),
            Self::Grant { run, grant } => put_of(*run, 7, grant, out),
            Self::Board { run, word } => put_of(*run, 8, word, out),
            Self::Act { run, act } => put_of(*run, 9, act, out),
            Self::Data { run, data } => put_of(*run, 10, data, out),
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(match input.byte()? {
            0 => Self::Welcome(Wire::take(input)?),
            1 => Self::Refuse(input.string(TEXT_BYTES, "text")?),
            2 => Self::Prepare(Wire::take(input)?),
            3 => Self::Orders(Wire::take(input)?),
            4 => Self::Answer(Wire::take(input)?),
            5 => Self::Abandon(Wire::take(input)?),
            6 => Self::Farewell,
            7 => Self::Grant { run: Wire::take(input)?, grant: Wire::take(input)? },
            8 => Self::Board { run: Wire::take(input)?, word: Wire::take(input)? },
            9 => Self::Act { run: Wire::take(input)?, act: Wire::take(input)? },
            10 => Self::Data { run: Wire::take(input)?, data: Wire::take(input)? },
            _ => return Err(KIND),
        })
    }
}

impl Wire for ToMaster {
    fn put(&self, out: &mut Output) {
        match self {
            Self::Hello(hello) => {
                out.byte(0);
                hello.put(out);
            }
            Self::Prepared { run, revision } => {
                out.byte(1);
                run.put(out);
                out.number(u64::from(*revision));
            }
            Self::Refused(refusal) => {
                out.byte(2);
                refusal.put(out);
            }
            Self::Delta { sent, delta } => {
                out.byte(3);
                out.duration(*sent);
                delta.put(out);
            }
            Self::Beat { sent } => {
                out.byte(4);
                out.duration(*sent);
            }
            Self::TotalPart { run, number, tally } => {
                out.byte(5);
                run.put(out);
                out.number(u64::from(*number));
                tally.put(out);
            }
            Self::TotalEnd { run, epoch, parts, sequence } => {
                out.byte(6);
                run.put(out);
                put_epoch(*epoch, out);
                out.number(u64::from(*parts));
                out.count(*sequence);
            }
            Self::Leaving => out.byte(7),
            Self::Goodbye => out.byte(8),
            Self::Log(lines) => {
                out.byte(9);
                out.list(lines, LOG_LINES);
            }
            Self::Scripts(scripts) => {
                out.byte(10);
                scripts.put(out);
            }
            Self::Ask { run, ask } => put_of(*run, 11, ask, out),
            Self::Leftover { run, leftover } => put_of(*run, 12, leftover, out),
            Self::Errand { run, errand } => put_of(*run, 13, &**errand, out),
            Self::Acted { run, act, acted } => {
                out.byte(14);
                run.put(out);
                act.put(out);
                acted.put(out);
            }
            Self::WindowParts(parts) => {
                out.byte(15);
                parts.put(out);
            }
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(match input.byte()? {
            0 => Self::Hello(Box::new(Wire::take(input)?)),
            1 => Self::Prepared { run: Wire::take(input)?, revision: input.number_32("revision")? },
            2 => Self::Refused(Wire::take(input)?),
            3 => Self::Delta { sent: input.duration()?, delta: Arc::new(Wire::take(input)?) },
            4 => Self::Beat { sent: input.duration()? },
            5 => Self::TotalPart {
                run: Wire::take(input)?,
                number: input.number_32("number of a part")?,
                tally: Box::new(Wire::take(input)?),
            },
            6 => Self::TotalEnd {
                run: Wire::take(input)?,
                epoch: take_epoch(input)?,
                parts: input.number_32("number of parts")?,
                sequence: input.count()?,
            },
            7 => Self::Leaving,
            8 => Self::Goodbye,
            9 => Self::Log(input.list(LOG_LINES, "number of log lines")?),
            10 => Self::Scripts(Wire::take(input)?),
            11 => Self::Ask { run: Wire::take(input)?, ask: Wire::take(input)? },
            12 => Self::Leftover { run: Wire::take(input)?, leftover: Wire::take(input)? },
            13 => Self::Errand { run: Wire::take(input)?, errand: Arc::new(Wire::take(input)?) },
            14 => Self::Acted { run: Wire::take(input)?, act: Wire::take(input)?, acted: Arc::new(Wire::take(input)?) },
            15 => Self::WindowParts(Wire::take(input)?),
            _ => return Err(KIND),
        })
    }
}

impl Wire for WorkerId {
    fn put(&self, out: &mut Output) {
        out.text(&self.host, HOST_BYTES);
        out.wide(self.incarnation);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self { host: input.string(HOST_BYTES, "name of a machine")?, incarnation: input.wide()? })
    }
}

impl Wire for Hello {
    fn put(&self, out: &mut Output) {
        self.worker.put(out);
        out.text(&self.version, HOST_BYTES);
        out.number(u64::from(self.lanes));
        out.option(self.floor.as_ref(), |out, floor| floor.put(out));
        out.text(&self.script, TEXT_BYTES);
        out.text(&self.fingerprint, HOST_BYTES);
        out.option(self.script_error.as_ref(), |out, error| out.text(error, TEXT_BYTES));
        out.flag(self.is_leaving);
        out.option(self.formerly.as_ref(), |out, worker| worker.put(out));
        out.option(self.standing.as_deref(), |out, standing| standing.put(out));
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            worker: Wire::take(input)?,
            version: input.string(HOST_BYTES, "version")?,
            lanes: input.number_32("number of lanes")?,
            floor: input.option(Wire::take)?,
            script: input.string(TEXT_BYTES, "name of a script")?,
            fingerprint: input.string(HOST_BYTES, "fingerprint")?,
            script_error: input.option(|input| input.string(TEXT_BYTES, "error of a script"))?,
            is_leaving: input.flag()?,
            formerly: input.option(Wire::take)?,
            standing: input.option(|input| RunStanding::take(input).map(Box::new))?,
        })
    }
}

impl Wire for Floor {
    fn put(&self, out: &mut Output) {
        out.count(self.requests);
        [self.cpu, self.p50, self.p99].into_iter().for_each(|time| out.duration(time));
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self { requests: input.count()?, cpu: input.duration()?, p50: input.duration()?, p99: input.duration()? })
    }
}

impl Wire for RunStanding {
    fn put(&self, out: &mut Output) {
        self.plan.put(out);
        put_epoch(self.epoch, out);
        out.option(self.orders.as_ref(), |out, orders| orders.put(out));
        out.duration(self.elapsed);
        out.time(self.wall);
        out.count(self.acknowledged);
        out.flag(self.is_finished);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            plan: Wire::take(input)?,
            epoch: take_epoch(input)?,
            orders: input.option(Wire::take)?,
            elapsed: input.duration()?,
            wall: input.time()?,
            acknowledged: input.count()?,
            is_finished: input.flag()?,
        })
    }
}

impl Wire for Followed {
    fn put(&self, out: &mut Output) {
        out.count(self.generation);
        self.phase.put(out);
        out.flag(self.has_stopped);
        self.profile.put(out);
        self.slots.put(out);
        out.flag(self.is_paused);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            generation: input.count()?,
            phase: Wire::take(input)?,
            has_stopped: input.flag()?,
            profile: Wire::take(input)?,
            slots: SlotSet::take(input).map(Arc::new)?,
            is_paused: input.flag()?,
        })
    }
}

impl Wire for Welcome {
    fn put(&self, out: &mut Output) {
        out.duration(self.clock);
        out.option(self.held, Output::count);
        out.flag(self.wants_windows);
        out.duration(self.orphan.timeout);
        out.flag(self.orphan.pauses);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            clock: input.duration()?,
            held: input.option(Input::count)?,
            wants_windows: input.flag()?,
            orphan: OrphanRules { timeout: input.duration()?, pauses: input.flag()? },
        })
    }
}

impl Wire for RunOrders {
    fn put(&self, out: &mut Output) {
        self.run.put(out);
        put_epoch(self.epoch, out);
        out.count(self.generation);
        self.phase.put(out);
        out.duration(self.zero);
        out.time(self.wall);
        self.orders.profile.put(out);
        self.orders.slots.put(out);
        out.option(self.orders.handover.as_ref(), |out, handover| handover.put(out));
        out.option(self.orders.void.as_ref(), |out, void| void.put(out));
        out.flag(self.orders.is_paused);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            run: Wire::take(input)?,
            epoch: take_epoch(input)?,
            generation: input.count()?,
            phase: Wire::take(input)?,
            zero: input.duration()?,
            wall: input.time()?,
            orders: Orders {
                profile: Wire::take(input)?,
                slots: SlotSet::take(input).map(Arc::new)?,
                handover: input.option(|input| Handover::take(input).map(Arc::new))?,
                void: input.option(|input| SlotSet::take(input).map(Arc::new))?,
                is_paused: input.flag()?,
            },
        })
    }
}

impl Wire for Phase {
    fn put(&self, out: &mut Output) {
        out.byte(match self {
            Self::Run => 0,
            Self::Stop => 1,
            Self::Cut => 2,
        });
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        match input.byte()? {
            0 => Ok(Self::Run),
            1 => Ok(Self::Stop),
            2 => Ok(Self::Cut),
            _ => Err(CodecError::Invalid { what: "phase of the run" }),
        }
    }
}

impl Wire for Answer {
    fn put(&self, out: &mut Output) {
        out.duration(self.echo);
        out.duration(self.clock);
        out.option(self.acknowledged, |out, (run, sequence)| {
            run.put(out);
            out.count(sequence);
        });
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            echo: input.duration()?,
            clock: input.duration()?,
            acknowledged: input.option(|input| Ok((RunId::take(input)?, input.count()?)))?,
        })
    }
}

impl Wire for Refusal {
    fn put(&self, out: &mut Output) {
        self.run.put(out);
        out.text(&self.text, TEXT_BYTES);
        out.option(self.differs.as_ref(), |out, fingerprint| out.text(fingerprint, HOST_BYTES));
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            run: Wire::take(input)?,
            text: input.string(TEXT_BYTES, "text")?,
            differs: input.option(|input| input.string(HOST_BYTES, "fingerprint"))?,
        })
    }
}

impl Wire for Scripts {
    fn put(&self, out: &mut Output) {
        out.text(&self.script, TEXT_BYTES);
        out.text(&self.fingerprint, HOST_BYTES);
        out.option(self.error.as_ref(), |out, error| out.text(error, TEXT_BYTES));
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            script: input.string(TEXT_BYTES, "name of a script")?,
            fingerprint: input.string(HOST_BYTES, "fingerprint")?,
            error: input.option(|input| input.string(TEXT_BYTES, "text"))?,
        })
    }
}

impl Wire for LogLine {
    fn put(&self, out: &mut Output) {
        out.time(self.wall);
        out.byte(self.level as u8);
        out.text(&self.target, HOST_BYTES);
        out.text(&self.text, TEXT_BYTES);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        let wall = input.time()?;
        let level = usize::from(input.byte()?);
        Ok(Self {
            wall,
            level: log::Level::iter().find(|known| *known as usize == level).ok_or(CodecError::Invalid { what: "log level" })?,
            target: input.string(HOST_BYTES, "source of a log line")?,
            text: input.string(TEXT_BYTES, "text")?,
        })
    }
}

/// A message of this kind that is about one thing of a run.
fn put_of(run: RunId, kind: u8, what: &impl Wire, out: &mut Output) {
    out.byte(kind);
    run.put(out);
    what.put(out);
}

/// An epoch that can still rise.
pub fn put_epoch(epoch: u32, out: &mut Output) {
    out.number(u64::from(epoch.min(EPOCH_MAX)));
}

/// See [`put_epoch`].
pub fn take_epoch(input: &mut Input<'_>) -> Result<u32, CodecError> {
    input.number_within(u64::from(EPOCH_MAX), "epoch").map(|epoch| epoch as u32)
}

/// Names of machines, versions, fingerprints, modules.
const HOST_BYTES: usize = 1_024;

/// Lines in one message at most.
const LOG_LINES: usize = 10_000;

const EPOCH_MAX: u32 = 1 << 31;

const KIND: CodecError = CodecError::Invalid { what: "kind of message" };

// Sequence numbers and generations are counts: the next one of the greatest still is a number.
const _: () = assert!(MOST < u64::MAX);
