// A client on Node's http.request with an http.Agent, unmodified. Its settings, from node_agent.py, are options of the Agent.
'use strict';

const http = require('node:http');
const path = require('node:path');
const { CommandError, Exchange, SilenceError, connectionOf, serve } = require(
  path.join(__dirname, '..', 'base', 'client.js'),
);

const options = JSON.parse(process.argv[2]);

function perform(command, agent) {
  const exchange = new Exchange();
  const request = send(command, agent);
  exchange.sends(request._header);
  return new Promise((resolve) => {
    const end = (error) => resolve(exchange.ended(error));
    request.on('socket', (socket) => {
      const carried = () => {
        exchange.carriedBy(connectionOf(socket));
        exchange.sendsOver(socket);
      };
      if (socket.connecting) socket.once('connect', carried);
      else carried();
    });
    request.on('timeout', () => request.destroy(new SilenceError(`timeout: silence for ${command.timeout} ms`)));
    request.on('error', end);
    request.on('response', (response) => {
      exchange.responded(response.statusCode, response.rawHeaders);
      response.on('data', (chunk) => {
        exchange.bytes += chunk.length;
      });
      response.on('error', end);
      response.on('end', () => end());
    });
  });
}

/** With the body's length, which Node leaves out for methods that seldom have one. */
function send(command, agent) {
  const { url, method, body, timeout } = command;
  const framed = Object.keys(command.headers).some((name) => /^(content-length|transfer-encoding)$/i.test(name));
  const length = body === null || framed ? {} : { 'Content-Length': body.length };
  try {
    const headers = { ...command.headers, ...length };
    const request = http.request(url, { method, headers, timeout, agent: agent ?? false });
    request.end(body ?? undefined);
    return request;
  } catch (error) {
    throw new CommandError(`Node refuses it: ${error.message}`);
  }
}

serve('node-agent', {
  open: () => new http.Agent({ keepAlive: true, ...options }),
  perform: async (command, agent) => perform(command, agent),
  close: (agent) => agent.destroy(),
});
