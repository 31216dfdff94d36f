// When requests are sent, as pacing.py does it: by workers, one after the other, or by the clock, whatever became of
// those before. Times are in seconds. Node's timers count milliseconds: a request goes out one or two after its time, and
// never before it.
'use strict';

const { createHash } = require('node:crypto');
const { setImmediate: turn, setTimeout: timer } = require('node:timers/promises');

// Milliseconds that a timer can take; a longer one would fire at once.
const LONGEST = 2 ** 31 - 1;

// Seconds after its time from which a request counts as sent late.
const LATE = 0.01;

/**
 * Have all requests of the command sent, each by send(n), a Promise, and return when the last has ended: the `load`
 * event of a rate, or null. When one rejects, no other begins, and this rejects when those under way have ended.
 */
async function pace(command, send) {
  if (command.rate !== null) return new Clock(command, send).run();
  const over = command.duration === null ? Infinity : now() + command.duration;
  let taken = 0;
  const work = async (worker) => {
    for (let drawn = 0; now() < over && taken < command.count; drawn += 1) {
      taken += 1;
      const n = taken;
      await send(n);
      if (n < command.count) await until(Math.min(now() + pause(command, worker, drawn), over));
    }
  };
  const workers = Array.from({ length: Math.min(command.concurrency, command.count) }, (_, worker) =>
    work(worker).catch((error) => {
      taken = command.count;
      throw error;
    }),
  );
  const failed = (await Promise.allSettled(workers)).find(({ status }) => status === 'rejected');
  if (failed) throw failed.reason;
  return null;
}

/** Seconds that a worker pauses; `number` counts its pauses from 0. */
function pause({ interval, intervalMost, seed }, worker, number) {
  if (intervalMost === null) return interval;
  const drawn = createHash('sha256').update(`${seed} ${worker} ${number}`).digest().readBigUInt64BE();
  return interval + ((intervalMost - interval) * Number(drawn >> 11n)) / 2 ** 53;
}

/** Sends each request at its time. When as many as there may be are under way, it waits for one to end, and is late. */
class Clock {
  constructor(command, send) {
    Object.assign(this, { command, send });
    this.due = [];
    this.taken = this.busy = this.late = this.lateness = this.last = 0;
    this.failures = [];
    this.ended = []; // of each that sends
  }

  async run() {
    const { id, session, rate, count, concurrency } = this.command;
    const t0 = now();
    for (let n = 1; n <= count && !this.failures.length; n += 1) {
      const at = t0 + (n - 1) / rate;
      if (at > now()) await until(at);
      else await turn(); // answers are read, however late it is
      this.due.push(at);
      if (this.busy < concurrency) this.ended.push(this.work());
    }
    await Promise.all(this.ended);
    if (this.failures.length) throw this.failures[0];
    const { taken: sent, late, lateness, last } = this;
    const kept = { asked: count, sent, late, lateness: round(lateness), seconds: round(last - t0) };
    return { ev: 'load', t0, t: now(), id, session, rate, ...kept };
  }

  /** Send what is due, one after the other, until nothing is. */
  async work() {
    this.busy += 1;
    try {
      while (this.taken < this.due.length && !this.failures.length) {
        this.note(this.due[this.taken]);
        await this.send(this.taken);
      }
    } catch (error) {
      this.failures.push(error);
    }
    this.busy -= 1;
  }

  note(due) {
    const at = now();
    this.taken += 1;
    this.late += at - due > LATE;
    this.lateness = Math.max(this.lateness, at - due);
    this.last = at;
  }
}

/** Ends at that time, and not before it: a timer may fire up to a millisecond early. */
async function until(time) {
  for (let left = time - now(); left > 0; left = time - now()) {
    await timer(Math.min(Math.ceil(left * 1000), LONGEST));
  }
}

/** CLOCK_MONOTONIC in seconds. */
function now() {
  return Number(process.hrtime.bigint() / 1000n) / 1e6;
}

/** To microseconds. */
function round(seconds) {
  return Math.round(seconds * 1e6) / 1e6;
}

module.exports = { LONGEST, now, pace };
