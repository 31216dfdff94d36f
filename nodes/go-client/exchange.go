package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"
)

const clockMonotonic = 1

// An exchange is a `request` event.
type exchange struct {
	Ev              string            `json:"ev"`
	ID              json.RawMessage   `json:"id"`
	N               int               `json:"n"`
	Session         *string           `json:"session"`
	Method          string            `json:"method"`
	URL             string            `json:"url"`
	T0              float64           `json:"t0"`
	T               float64           `json:"t"`
	Status          *int              `json:"status"`
	Error           *failure          `json:"error"`
	SendError       *failure          `json:"send_error,omitempty"`
	Local           *string           `json:"local"`
	Peer            *string           `json:"peer"`
	Sk              *string           `json:"sk"`
	Reused          bool              `json:"reused"`
	Nth             *int64            `json:"nth"`
	RequestHeaders  map[string]string `json:"request_headers"`
	ResponseHeaders map[string]string `json:"response_headers"`
	Bytes           int64             `json:"bytes"`
}

// A call of the library. Its hooks are called by several goroutines.
type call struct {
	command   command
	n         int
	mutex     sync.Mutex
	now       *exchange
	conn      *namedConn // that carries it
	exchanges []*exchange
}

func (c *call) begin(method, url string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.conn = nil
	c.now = &exchange{
		Ev: "request", ID: c.command.ID, N: c.n, Session: c.command.session, Method: method, URL: url, T0: now(),
		RequestHeaders: map[string]string{},
	}
	c.exchanges = append(c.exchanges, c.now)
}

func (c *call) responded(response *http.Response) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.now.responded(response)
}

func (c *call) report() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, exchange := range c.exchanges {
		emit(exchange)
	}
}

func (c *call) end(size int64, err error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.now.T, c.now.Bytes = now(), size
	if err != nil {
		c.now.Error = failureOf(err, c.now, c.conn)
	}
}

// trace says which connection carries the request.
func (c *call) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) {
			if c.conn != nil { // net/http makes the request again: what it does where a connection of its pool was dead
				c.end(0, c.conn.firstError())
				c.begin(c.now.Method, c.now.URL)
			}
		},
		GotConn: func(info httptrace.GotConnInfo) {
			c.mutex.Lock()
			defer c.mutex.Unlock()
			c.conn = info.Conn.(*namedConn)
			c.now.carriedBy(c.conn)
		},
		WroteHeaderField: func(name string, values []string) {
			c.mutex.Lock()
			defer c.mutex.Unlock()
			add(c.now.RequestHeaders, name, values)
		},
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			c.mutex.Lock()
			defer c.mutex.Unlock()
			if info.Err != nil {
				c.now.SendError = failureOf(info.Err, c.now, c.conn)
			}
		},
	}
}

func (e *exchange) carriedBy(conn *namedConn) {
	nth := atomic.AddInt64(&conn.requests, 1)
	e.Local, e.Peer, e.Sk, e.Nth, e.Reused = conn.local, conn.peer, conn.sk, &nth, nth > 1
}

// responded puts back what net/http took out of the headers. Names are in the form that it gives them.
func (e *exchange) responded(response *http.Response) {
	e.Status = &response.StatusCode
	e.ResponseHeaders = map[string]string{}
	for name, values := range response.Header {
		add(e.ResponseHeaders, name, values)
	}
	if response.TransferEncoding != nil {
		add(e.ResponseHeaders, "Transfer-Encoding", response.TransferEncoding)
	}
	if response.Uncompressed {
		add(e.ResponseHeaders, "Content-Encoding", []string{"gzip"})
	}
	// Close is also set for a body that only the end of the connection ends.
	framed := response.ContentLength >= 0 || response.TransferEncoding != nil || response.Uncompressed
	if response.Close && framed && response.ProtoAtLeast(1, 1) {
		add(e.ResponseHeaders, "Connection", []string{"close"})
	}
}

func add(headers map[string]string, name string, values []string) {
	text := strings.Join(values, ", ")
	if before, ok := headers[name]; ok {
		text = before + ", " + text
	}
	headers[name] = text
}

// now is CLOCK_MONOTONIC in seconds. Go's own monotonic time begins with the process.
func now() float64 {
	var at syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&at)), 0)
	return float64(at.Nano()/1000) / 1e6
}
