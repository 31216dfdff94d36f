// A client on undici, unmodified. Its settings, from run.py, are options of undici's Agent and of its connector.
'use strict';

const { subscribe } = require('node:diagnostics_channel');
const path = require('node:path');
const undici = require('undici');
const { CommandError, Exchange, connectionOf, serve } = require(path.join(__dirname, '..', 'base', 'client.js'));

const settings = JSON.parse(process.argv[2]);
const REFUSALS = ['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED'];

// undici counts connecting in the options of an Agent, not of a request. Commands run one at a time.
let connectTimeout = 0;
const connect = (options, callback) =>
  undici.buildConnector({ ...settings.connect, timeout: connectTimeout })(options, callback);

// Which request's headers are being written: undici calls onConnect of its handler just before.
let sending = null;
subscribe('undici:client:connected', ({ socket }) => connectionOf(socket));
subscribe('undici:client:sendHeaders', ({ request, headers, socket }) => {
  sending.carriedBy(connectionOf(socket));
  sending.sendsOver(socket);
  sending.sends(headers + contentLength(request));
});

/** The line that undici writes after each message. */
function contentLength({ method, body }) {
  if (body) return `content-length: ${body.length}\r\n`;
  return ['POST', 'PUT', 'PATCH'].includes(method) ? 'content-length: 0\r\n' : '';
}

class Handler {
  constructor(exchange, resolve, reject) {
    Object.assign(this, { exchange, resolve, reject });
  }

  onConnect() {
    sending = this.exchange;
  }

  onHeaders(status, rawHeaders) {
    if (status >= 200) this.exchange.responded(status, rawHeaders);
    return true;
  }

  onData(chunk) {
    this.exchange.bytes += chunk.length;
    return true;
  }

  onComplete() {
    this.resolve(this.exchange.ended());
  }

  onError(error) {
    if (REFUSALS.includes(error.code)) this.reject(new CommandError(`undici refuses it: ${error.message}`));
    else this.resolve(this.exchange.ended(error));
  }
}

function dispatch(command, agent) {
  const exchange = new Exchange();
  const { url, method, headers, body, timeout } = command;
  connectTimeout = timeout;
  return new Promise((resolve, reject) => {
    const options = { origin: url.origin, path: url.pathname + url.search, method, headers, body };
    agent.dispatch({ ...options, headersTimeout: timeout, bodyTimeout: timeout }, new Handler(exchange, resolve, reject));
  });
}

async function perform(command, session) {
  if (session !== null) return dispatch(command, session);
  const agent = new undici.Agent({ connect, ...settings.local, pipelining: 0 }); // undici's way to say: no keep-alive
  try {
    return await dispatch(command, agent);
  } finally {
    await agent.close();
  }
}

serve('undici', {
  open: () => new undici.Agent({ connect, ...settings.local, ...settings.agent }),
  perform,
  close: (agent) => agent.close(),
});
