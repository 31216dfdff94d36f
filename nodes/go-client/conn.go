package main

import (
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"
)

const soCookie = 57 // asm-generic/socket.h; package syscall has no name for it

// A namedConn is a TCP connection that knows its names, how many requests it carried, and what went wrong first.
type namedConn struct {
	*net.TCPConn
	local, peer, sk *string
	requests        int64
	mutex           sync.Mutex
	first           error
	unsent          atomic.Bool // whether a write has not come to its end
}

func named(conn *net.TCPConn) *namedConn {
	local, peer := conn.LocalAddr().String(), conn.RemoteAddr().String()
	return &namedConn{TCPConn: conn, local: &local, peer: &peer, sk: cookie(conn)}
}

func (c *namedConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	c.note(err)
	return n, err
}

func (c *namedConn) Write(p []byte) (int, error) {
	c.unsent.Store(true)
	n, err := c.TCPConn.Write(p)
	if err == nil {
		c.unsent.Store(false)
	}
	c.note(err)
	return n, err
}

// ReadFrom is how net/http writes a body.
func (c *namedConn) ReadFrom(from io.Reader) (int64, error) {
	c.unsent.Store(true)
	n, err := c.TCPConn.ReadFrom(from)
	if err == nil {
		c.unsent.Store(false)
	}
	c.note(err)
	return n, err
}

// note keeps the first error: those that follow from closing it say nothing.
func (c *namedConn) note(err error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.first == nil {
		c.first = err
	}
}

func (c *namedConn) firstError() error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.first == nil {
		return errors.New("net/http made the request again")
	}
	return c.first
}

// cookie is the kernel's name for the socket, made now: a minisocket inherits it only if it was made before the close.
func cookie(conn *net.TCPConn) *string {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil
	}
	var value uint64
	var errno syscall.Errno
	size := uint32(unsafe.Sizeof(value))
	err = raw.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall6(syscall.SYS_GETSOCKOPT, fd, syscall.SOL_SOCKET, soCookie,
			uintptr(unsafe.Pointer(&value)), uintptr(unsafe.Pointer(&size)), 0)
	})
	if err != nil || errno != 0 {
		return nil
	}
	text := strconv.FormatUint(value, 16)
	return &text
}
