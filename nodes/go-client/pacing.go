package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// When requests are sent, as nodes/base/pacing.py does it: by workers, one after the other, or by the clock, whatever
// became of those before.

// Seconds after its time from which a request counts as sent late.
const late = 0.01

// A load tells what a rate asked for and how it was kept.
type load struct {
	Ev       string          `json:"ev"`
	T0       float64         `json:"t0"`
	T        float64         `json:"t"`
	ID       json.RawMessage `json:"id"`
	Session  *string         `json:"session"`
	Rate     float64         `json:"rate"`
	Asked    int             `json:"asked"`
	Sent     int             `json:"sent"`
	Late     int             `json:"late"`
	Lateness float64         `json:"lateness"`
	Seconds  float64         `json:"seconds"`
}

// pace has all requests of the command sent, each by a call of send with its number, and returns when the last has
// ended.
func pace(command command, send func(int)) {
	if command.rate != nil {
		clock := &clock{command: command, rate: *command.rate, send: send, due: make(chan due, command.count)}
		emit(clock.run())
		return
	}
	over := math.Inf(1)
	if command.duration != nil {
		over = now() + *command.duration
	}
	var taken int64
	var workers sync.WaitGroup
	for i := 0; i < command.concurrency && i < command.count; i++ {
		workers.Add(1)
		go func(worker int) {
			defer workers.Done()
			for drawn := 0; now() < over; drawn++ {
				n := atomic.AddInt64(&taken, 1)
				if n > int64(command.count) {
					return
				}
				send(int(n))
				if n < int64(command.count) {
					time.Sleep(seconds(math.Max(0, math.Min(command.pause(worker, drawn), over-now()))))
				}
			}
		}(i)
	}
	workers.Wait()
}

// pause is how many seconds a worker pauses; number counts its pauses from 0.
func (c command) pause(worker, number int) float64 {
	if c.intervalMost == nil {
		return c.interval
	}
	// The conversion keeps a processor from doing both operations in one, with another result.
	return c.interval + float64((*c.intervalMost-c.interval)*share(c.seed, worker, number))
}

// share is at least 0 and less than 1: the same in every run, and of every kind of client.
func share(seed string, worker, number int) float64 {
	sum := sha256.Sum256([]byte(fmt.Sprintf("%s %d %d", seed, worker, number)))
	return float64(binary.BigEndian.Uint64(sum[:])>>11) / (1 << 53)
}

// A clock sends each request at its time: a worker that is free takes it, or a new one. When as many as there may be
// are busy, it waits, and is late.
type clock struct {
	command command
	rate    float64
	send    func(int)
	due     chan due // has room for all
	workers sync.WaitGroup
	mutex   sync.Mutex
	free    int // workers that wait, less what they are about to take
	said    load
	last    float64
}

type due struct {
	n  int
	at float64
}

func (c *clock) run() load {
	t0 := now()
	for n, workers := 1, 0; n <= c.command.count; n++ {
		at := t0 + float64(n-1)/c.rate
		for left := at - now(); left > 0; left = at - now() {
			time.Sleep(seconds(left))
		}
		c.mutex.Lock()
		c.free--
		more := c.free < 0 && workers < c.command.concurrency
		c.mutex.Unlock()
		c.due <- due{n, at}
		if more {
			workers++
			c.workers.Add(1)
			go c.work()
		}
	}
	close(c.due)
	c.workers.Wait()
	c.said.Ev, c.said.T0, c.said.T, c.said.ID, c.said.Session = "load", t0, now(), c.command.ID, c.command.session
	c.said.Rate, c.said.Asked, c.said.Seconds = c.rate, c.command.count, round(c.last-t0)
	c.said.Lateness = round(c.said.Lateness)
	return c.said
}

func (c *clock) work() {
	defer c.workers.Done()
	c.ready()
	for one := range c.due {
		c.note(now(), one.at)
		c.send(one.n)
		c.ready()
	}
}

func (c *clock) ready() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.free++
}

func (c *clock) note(at, due float64) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.said.Sent++
	if at-due > late {
		c.said.Late++
	}
	c.said.Lateness = math.Max(c.said.Lateness, at-due)
	c.last = math.Max(c.last, at)
}

// round to microseconds.
func round(seconds float64) float64 {
	return math.Round(seconds*1e6) / 1e6
}
