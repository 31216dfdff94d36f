// A client on Go's net/http, unmodified, which takes commands on standard input. nodes/README.md has the protocol.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"io"
	"log"
	"os"
	"sync"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("go-client: ")
	var pool pool
	flag.IntVar(&pool.idle, "max-idle", 2, "http.Transport.MaxIdleConnsPerHost")
	flag.IntVar(&pool.most, "max-conns", 0, "http.Transport.MaxConnsPerHost")
	flag.DurationVar(&pool.expiry, "idle-timeout", 90*time.Second, "http.Transport.IdleConnTimeout")
	flag.DurationVar(&pool.probe, "tcp-keepalive", 30*time.Second, "net.Dialer.KeepAlive")
	flag.StringVar(&pool.source, "source", "", "net.Dialer.LocalAddr")
	pool.options = sockoptFlag()
	flag.Parse()

	client := newClient(pool)
	emit(map[string]any{"ev": "ready", "t": now(), "kind": "go-client", "pid": os.Getpid()})
	lines := bufio.NewReader(os.Stdin)
	var atWork sync.WaitGroup
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			carryOut(client, line, &atWork)
		}
		if err == io.EOF {
			atWork.Wait()
			return
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}

// carryOut begins a command, in the order in which they came; what takes time goes on beside those after it.
func carryOut(client *client, line []byte, atWork *sync.WaitGroup) {
	command, err := readCommand(line)
	work := func() {}
	if err == nil {
		work, err = client.begin(command)
	}
	if err != nil {
		emit(map[string]any{"ev": "done", "id": command.ID, "t": now(), "error": err.Error()})
		return
	}
	atWork.Add(1)
	go func() {
		defer atWork.Done()
		work()
		emit(map[string]any{"ev": "done", "id": command.ID, "t": now()})
	}()
}

var writing sync.Mutex

// emit writes one event, whole. When nobody reads any more, SIGPIPE ends the process.
func emit(event any) {
	line, err := json.Marshal(event)
	if err != nil {
		log.Fatal(err)
	}
	writing.Lock()
	defer writing.Unlock()
	if _, err := os.Stdout.Write(append(line, '\n')); err != nil {
		log.Fatal(err)
	}
}
