// A server on Go's net/http, unmodified. Its flags come from run.py, which has checked them.
package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	maxBytes = 1 << 28
	maxEcho  = 1 << 20
	maxDelay = 3_600_000
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("go: ")
	port := flag.Int("port", 8080, "the port that it listens on")
	idle := flag.Duration("idle-timeout", 0, "http.Server.IdleTimeout")
	keep := flag.Bool("keep-alives", true, "http.Server.SetKeepAlivesEnabled")
	probe := flag.Duration("tcp-keepalive", 0, "net.ListenConfig.KeepAlive")
	naive := flag.Bool("naive", false, "SIGTERM ends the program at once")
	grace := flag.Duration("grace", 0, "how long http.Server.Shutdown may take; 0: without end")
	options := sockoptFlag()
	flag.Parse()

	server := &http.Server{Handler: routes(), IdleTimeout: *idle}
	server.SetKeepAlivesEnabled(*keep)
	config := net.ListenConfig{KeepAlive: *probe, Control: options.control}
	listener, err := config.Listen(context.Background(), "tcp4", net.JoinHostPort("0.0.0.0", strconv.Itoa(*port)))
	if err != nil {
		log.Fatal(err)
	}
	over := make(chan struct{})
	if !*naive {
		go shutdown(server, *grace, over)
	}
	if err := server.Serve(listener); err != http.ErrServerClosed {
		log.Fatal(err)
	}
	<-over
}

// shutdown waits for SIGTERM, and then as Go programs do: no new connections, idle ones are closed, those with a request
// once it has its response. What is left when the grace is over ends with the program.
func shutdown(server *http.Server, grace time.Duration, over chan struct{}) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM, syscall.SIGINT)
	<-told
	ctx := context.Background()
	if grace > 0 {
		limited, cancel := context.WithTimeout(ctx, grace)
		defer cancel()
		ctx = limited
	}
	if err := server.Shutdown(ctx); err != nil {
		log.Print(err)
	}
	close(over)
}

func routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		text(w, "simctl go\n")
	})
	mux.HandleFunc("/bytes/", func(w http.ResponseWriter, r *http.Request) {
		if n, ok := number(w, r, 0, maxBytes); ok {
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("Content-Length", strconv.Itoa(n))
			io.CopyN(w, endless{}, int64(n)) // a client that is gone is no news
		}
	})
	mux.HandleFunc("/delay/", func(w http.ResponseWriter, r *http.Request) {
		if ms, ok := number(w, r, 0, maxDelay); ok {
			time.Sleep(time.Duration(ms) * time.Millisecond)
			text(w, "waited\n")
		}
	})
	mux.HandleFunc("/status/", func(w http.ResponseWriter, r *http.Request) {
		if code, ok := number(w, r, 200, 599); ok {
			w.WriteHeader(code)
		}
	})
	mux.HandleFunc("/echo", echo)
	return mux
}

func echo(w http.ResponseWriter, r *http.Request) {
	var body bytes.Buffer
	if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, maxEcho)); err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	kind := r.Header.Get("Content-Type")
	if kind == "" {
		kind = "application/octet-stream"
	}
	w.Header().Set("Content-Type", kind)
	w.Write(body.Bytes())
}

func text(w http.ResponseWriter, line string) {
	w.Header().Set("Content-Type", "text/plain")
	io.WriteString(w, line)
}

// number is the last part of the path; anything but a number from low to high gets 400.
func number(w http.ResponseWriter, r *http.Request, low, high int) (int, bool) {
	last := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	n, err := strconv.Atoi(last)
	if err != nil || n < low || n > high {
		http.Error(w, r.URL.Path+" ends in no number from "+strconv.Itoa(low)+" to "+strconv.Itoa(high), http.StatusBadRequest)
		return 0, false
	}
	return n, true
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
