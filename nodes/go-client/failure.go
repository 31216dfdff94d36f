package main

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
)

type failure struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// The names of nodes/README.md; an errno that Python has no class for stands for itself.
var errnos = map[syscall.Errno]string{
	syscall.ECONNRESET:    "ConnectionResetError",
	syscall.ECONNABORTED:  "ConnectionAbortedError",
	syscall.ECONNREFUSED:  "ConnectionRefusedError",
	syscall.EPIPE:         "BrokenPipeError",
	syscall.EACCES:        "PermissionError",
	syscall.EPERM:         "PermissionError",
	syscall.EADDRINUSE:    "EADDRINUSE",
	syscall.EADDRNOTAVAIL: "EADDRNOTAVAIL",
	syscall.EHOSTDOWN:     "EHOSTDOWN",
	syscall.EHOSTUNREACH:  "EHOSTUNREACH",
	syscall.EMFILE:        "EMFILE",
	syscall.ENETDOWN:      "ENETDOWN",
	syscall.ENETUNREACH:   "ENETUNREACH",
	syscall.ENOBUFS:       "ENOBUFS",
	syscall.EPROTO:        "EPROTO",
	syscall.ETIMEDOUT:     "ETIMEDOUT",
}

// failureOf names the cause of an error by what had come about before it: a connection, a response.
func failureOf(err error, so *exchange, conn *namedConn) *failure {
	name := causeName(err, so.Nth != nil, so.Status != nil)
	if name == "ReadTimeout" && so.Status == nil && conn != nil && conn.unsent.Load() {
		name = "WriteTimeout"
	}
	return &failure{name, err.Error()}
}

func causeName(err error, connected, responded bool) string {
	var dns *net.DNSError
	var errno syscall.Errno
	var timeout net.Error
	switch {
	case errors.As(err, &dns):
		return "NameResolutionError"
	case errors.As(err, &errno):
		if name, ok := errnos[errno]; ok {
			return name
		}
		return "OSError"
	case errors.As(err, &timeout) && timeout.Timeout():
		if connected {
			return "ReadTimeout"
		}
		return "ConnectTimeout"
	case errors.Is(err, io.ErrUnexpectedEOF) && responded:
		return "IncompleteRead"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), saysClosed(err):
		return "RemoteDisconnected"
	case strings.Contains(err.Error(), "malformed HTTP"):
		return "BadStatusLine"
	case strings.Contains(err.Error(), "stopped after 10 redirects"):
		return "TooManyRedirects"
	}
	return "Error"
}

// saysClosed knows the one error of the Transport that has no type: an end of file that was there before the request.
func saysClosed(err error) bool {
	return strings.Contains(err.Error(), "http: server closed idle connection")
}
