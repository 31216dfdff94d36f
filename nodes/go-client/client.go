package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptrace"
	"sort"
	"strings"
	"time"
)

// What a session is made with, beside the values of http.DefaultTransport.
type pool struct {
	idle   int
	most   int
	expiry time.Duration
	probe  time.Duration
	source string
	// of each socket, before it connects
	options *sockopts
}

// A session is a Transport: that is what keeps connections.
type client struct {
	pool     pool
	sessions map[string]*http.Transport
	oneShot  *http.Transport
}

func newClient(pool pool) *client {
	c := &client{pool: pool, sessions: map[string]*http.Transport{}}
	c.oneShot = c.transport()
	c.oneShot.DisableKeepAlives = true
	return c
}

func (c *client) transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil // nothing of the environment may come between client and server
	t.MaxIdleConnsPerHost = c.pool.idle
	t.MaxConnsPerHost = c.pool.most
	t.IdleConnTimeout = c.pool.expiry
	// The timeout is that of DefaultTransport.
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: c.pool.probe, Control: c.pool.options.control}
	if c.pool.source != "" {
		address, err := net.ResolveTCPAddr("tcp4", c.pool.source)
		if err != nil {
			log.Fatal(err)
		}
		dialer.LocalAddr = address
	}
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		plain, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return named(plain.(*net.TCPConn)), nil
	}
	return t
}

// begin does what later commands build on, and returns the rest of the command.
func (c *client) begin(command command) (func(), error) {
	if command.do == "close" {
		return func() {}, c.close(command)
	}
	transport := c.oneShot
	if command.session != nil {
		transport = c.sessions[*command.session]
		if transport == nil {
			transport = c.transport()
			c.sessions[*command.session] = transport
		}
	}
	return func() {
		pace(command, func(n int) { perform(command, n, transport) })
	}, nil
}

func (c *client) close(command command) error {
	if command.session == nil || c.sessions[*command.session] == nil {
		return fmt.Errorf("no such session is open; open are: %s", c.open())
	}
	c.sessions[*command.session].CloseIdleConnections()
	delete(c.sessions, *command.session)
	return nil
}

func (c *client) open() string {
	var names []string
	for name := range c.sessions {
		names = append(names, name)
	}
	if names == nil {
		return "none"
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}

// perform makes one call of the library and reports the exchanges that came of it: one, or several when it followed
// redirects.
func perform(command command, n int, transport *http.Transport) {
	call := &call{command: command, n: n}
	call.begin(command.method, command.url)
	request, err := command.request()
	if err != nil {
		panic(err) // it was made once already, by check
	}
	client := &http.Client{Transport: transport, Timeout: command.timeout, CheckRedirect: call.redirect}
	request = request.WithContext(httptrace.WithClientTrace(request.Context(), call.trace()))
	response, err := client.Do(request)
	var size int64
	if response != nil {
		call.responded(response)
		if err == nil {
			size, err = io.Copy(io.Discard, response.Body)
		}
		response.Body.Close()
	}
	call.end(size, err)
	call.report()
}

// redirect is net/http's own policy, and begins the next exchange.
func (c *call) redirect(next *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("stopped after 10 redirects")
	}
	c.responded(next.Response)
	c.end(0, nil) // its body is thrown away inside of net/http
	c.begin(next.Method, next.URL.String())
	return nil
}
