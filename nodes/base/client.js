// What all clients on Node.js share: commands on standard input, workers, events on standard output.
//
// A client is a library, given to serve():
//   open()                      a session that a command named for the first time
//   perform(command, session)   a Promise of one `Exchange` (session null: a request of its own); it rejects with
//                               CommandError for what the library refuses before it sends anything
//   close(session)              ends the session with all that it keeps open; may be a Promise
// nodes/README.md has the protocol.
'use strict';

const path = require('node:path');
const readline = require('node:readline');
const { LONGEST, now, pace } = require(path.join(__dirname, 'pacing.js'));

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const FIELDS = [
  'id', 'do', 'url', 'session', 'count', 'concurrency', 'interval', 'method', 'headers', 'body', 'timeout',
  'rate', 'duration', 'interval_most', 'seed',
];

// The names of nodes/README.md. Any other code of Node's stands for itself: EADDRNOTAVAIL, EHOSTUNREACH, ETIMEDOUT.
const NAMES = {
  EAI_AGAIN: 'NameResolutionError',
  EAI_FAIL: 'NameResolutionError',
  ECONNREFUSED: 'ConnectionRefusedError',
  ECONNRESET: 'ConnectionResetError',
  ENOTFOUND: 'NameResolutionError',
  EPIPE: 'BrokenPipeError',
  HPE_INVALID_CONSTANT: 'BadStatusLine',
  UND_ERR_BODY_TIMEOUT: 'ReadTimeout',
  UND_ERR_CONNECT_TIMEOUT: 'ConnectTimeout',
  UND_ERR_HEADERS_TIMEOUT: 'ReadTimeout',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'IncompleteRead',
};

/** The command itself is wrong; nothing was sent. */
class CommandError extends Error {}

/** A socket read nothing and wrote nothing for the command's timeout. Node only reports it; the caller must end it. */
class SilenceError extends Error {}

/** One HTTP request and its response: what a `request` event is made of. */
class Exchange {
  constructor() {
    this.t0 = now();
    this.t = null;
    this.status = null;
    this.error = null;
    this.local = null;
    this.peer = null;
    this.sk = null; // Node has no way to read it
    this.reused = false;
    this.nth = null;
    this.request_headers = {};
    this.response_headers = null;
    this.bytes = 0;
    Object.defineProperty(this, 'sending', { value: false, writable: true }); // is not reported
  }

  /** `connection` (from connectionOf) carries it. */
  carriedBy(connection) {
    connection.requests += 1;
    this.local = connection.local;
    this.peer = connection.peer;
    this.nth = connection.requests;
    this.reused = this.nth > 1;
  }

  /** `head`: the request's first line and header lines, as they are sent. */
  sends(head) {
    for (const line of head.split('\r\n').slice(1)) {
      const colon = line.indexOf(':');
      if (colon > 0) add(this.request_headers, line.slice(0, colon), line.slice(colon + 1).trim());
    }
  }

  /** `raw`: names and values in turn, as they came. */
  responded(status, raw) {
    this.status = status;
    this.response_headers = {};
    for (let i = 0; i < raw.length; i += 2) add(this.response_headers, raw[i].toString(), raw[i + 1].toString());
  }

  /** `socket` gets the request now: whether a part of it does not go out. Node queues what the kernel does not take. */
  sendsOver(socket) {
    setImmediate(() => {
      if (!socket.writableNeedDrain) return;
      this.sending = true;
      socket.once('drain', () => {
        this.sending = false;
      });
    });
  }

  /** Nothing more comes: the body was read, or `error` is there. */
  ended(error = null) {
    this.t = now();
    if (error !== null) this.error = { name: errorName(error, this), text: error.message || String(error) };
    return this;
  }
}

const connections = new WeakMap();

/** The addresses of a connected socket, which a closed one has forgotten, and the number of its requests. */
function connectionOf(socket) {
  if (!connections.has(socket)) {
    connections.set(socket, {
      local: `${socket.localAddress}:${socket.localPort}`,
      peer: `${socket.remoteAddress}:${socket.remotePort}`,
      requests: 0,
    });
  }
  return connections.get(socket);
}

/** `exchange` has what had come about before: a connection, a response. */
function errorName(error, exchange) {
  const name = causeName(error, exchange);
  return name === 'ReadTimeout' && exchange.sending ? 'WriteTimeout' : name;
}

function causeName(error, exchange) {
  if (error instanceof SilenceError) return exchange.nth === null ? 'ConnectTimeout' : 'ReadTimeout';
  // An end of file: `socket hang up` and `aborted` have the code of a reset, but no system call gave it.
  if (error.code === 'UND_ERR_SOCKET' || (error.code === 'ECONNRESET' && error.syscall === undefined)) {
    return exchange.status === null ? 'RemoteDisconnected' : 'IncompleteRead';
  }
  return NAMES[error.code] ?? error.code ?? error.name;
}

/** Say `ready`, then carry out commands, beside each other, until standard input ends. */
async function serve(kind, library) {
  process.stdout.on('error', () => process.exit(1)); // nobody listens any more
  emit({ ev: 'ready', t: now(), kind, pid: process.pid });
  const sessions = new Map();
  const atWork = new Set();
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const work = answer(line, library, sessions);
    atWork.add(work);
    work.finally(() => atWork.delete(work));
  }
  await Promise.all(atWork);
  process.exit(0); // idle connections would keep it alive
}

/** One command, until it is done. What later ones build on is done before this returns its Promise. */
async function answer(line, library, sessions) {
  const done = { ev: 'done', id: null };
  try {
    const raw = parse(line);
    done.id = raw.id ?? null;
    await carryOut(raw, library, sessions);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    done.error = error.message;
  }
  emit({ ...done, t: now() });
}

function parse(line) {
  let raw;
  try {
    raw = JSON.parse(line);
  } catch (error) {
    throw new CommandError(error.message);
  }
  if (!isObject(raw)) throw new CommandError('a command is one JSON object');
  return raw;
}

async function carryOut(raw, library, sessions) {
  const unknown = Object.keys(raw).filter((name) => !FIELDS.includes(name)).sort();
  if (unknown.length) throw new CommandError(`unknown field '${unknown[0]}'; there are: ${FIELDS.join(', ')}`);
  if (raw.do === 'request') {
    await request(readRequest(raw), library, sessions);
  } else if (raw.do === 'close') {
    const open = [...sessions.keys()].join(', ') || 'none';
    if (!sessions.has(raw.session)) throw new CommandError(`no such session is open; open are: ${open}`);
    const session = sessions.get(raw.session);
    sessions.delete(raw.session);
    await library.close(session);
  } else {
    throw new CommandError(`unknown command '${raw.do}'; there are: request, close`);
  }
}

async function request(command, library, sessions) {
  if (command.session !== null && !sessions.has(command.session)) sessions.set(command.session, library.open());
  const session = command.session === null ? null : sessions.get(command.session);
  const { id, session: name, method, url } = command;
  const load = await pace(command, async (n) => {
    const exchange = await library.perform(command, session);
    emit({ ev: 'request', id, n, session: name, method, url: String(url), ...exchange });
  });
  if (load !== null) emit(load);
}

/** The command with its defaults; `url` is a URL, `body` a Buffer or null, `timeout` in milliseconds. */
function readRequest(raw) {
  const string = (value) => typeof value === 'string';
  const from = (least) => (value) => Number.isFinite(value) && value >= least;
  const whole = (value) => Number.isInteger(value) && value >= 1;
  const token = (value) => string(value) && TOKEN.test(value);
  const fields = (value) => isObject(value) && Object.keys(value).every(token) && Object.values(value).every(line);
  const line = (value) => string(value) && !/[\0\r\n]/.test(value);
  const field = (name, fits, expected, otherwise) => {
    const value = raw[name] ?? otherwise;
    if (value === otherwise || fits(value)) return value;
    throw new CommandError(`${name}: expected ${expected}, not ${JSON.stringify(value)}`);
  };
  const body = field('body', string, 'a string', null);
  const positive = (name, unit, otherwise) =>
    field(name, (value) => Number.isFinite(value) && value > 0, `${unit}, more than 0`, otherwise);
  const timeout = positive('timeout', 'seconds', 10);
  const interval = field('interval', from(0), 'seconds, 0 or more', 0);
  return {
    id: raw.id ?? null,
    url: readUrl(field('url', string, 'a string', '')),
    session: field('session', string, 'a string', null),
    count: field('count', whole, 'a whole number, 1 or more', 1),
    concurrency: field('concurrency', whole, 'a whole number, 1 or more', 1),
    interval,
    method: field('method', token, 'a word', 'GET'),
    headers: field('headers', fields, 'an object of names and values that can be sent', {}),
    body: body === null ? null : Buffer.from(body),
    timeout: Math.min(Math.ceil(timeout * 1000), LONGEST),
    rate: positive('rate', 'requests a second', null),
    duration: positive('duration', 'seconds', null),
    intervalMost: field('interval_most', from(interval), `${interval} or more`, null),
    seed: field('seed', string, 'a string', ''),
  };
}

function readUrl(text) {
  try {
    const url = new URL(text);
    if (url.protocol === 'http:' && !/\s/.test(text)) return url;
  } catch {
    // reported below
  }
  throw new CommandError(`url: expected an absolute http:// URL, not '${text}'`);
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Values of a repeated name are joined with a comma, as RFC 9110 section 5.3 says. */
function add(headers, name, value) {
  headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
}

/** One event, whole: on Linux, writing to a pipe or a socket ends when all is written. */
function emit(event) {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

module.exports = { CommandError, Exchange, SilenceError, connectionOf, serve };
