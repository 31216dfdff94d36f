package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"
)

// A command, checked, with its defaults. Errors in it are reported before anything is sent.
type command struct {
	ID          json.RawMessage
	do          string
	url         string
	session     *string
	count       int
	concurrency int
	interval    float64 // seconds, as all that pacing.go reads
	method      string
	headers     map[string]string
	body        *string
	bodySize    *int64 // instead of body
	timeout     time.Duration
	rate        *float64
	duration    *float64
	// interval is where a pause is drawn from, up to this, by the seed
	intervalMost *float64
	seed         string
}

var (
	token  = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	fields = []string{
		"id", "do", "url", "session", "count", "concurrency", "interval", "method", "headers", "body", "timeout",
		"rate", "duration", "interval_most", "seed", "body_size",
	}
)

// readCommand returns a command whose ID is set even when there is an error, if it had one.
func readCommand(line []byte) (command, error) {
	c := command{ID: json.RawMessage("null"), count: 1, concurrency: 1, method: http.MethodGet}
	raw := map[string]json.RawMessage{}
	if err := json.Unmarshal(line, &raw); err != nil {
		return c, fmt.Errorf("a command is one JSON object: %w", err)
	}
	if id, ok := raw["id"]; ok {
		c.ID = id
	}
	if name := unknown(raw); name != "" {
		return c, fmt.Errorf("unknown field '%s'; there are: %s", name, strings.Join(fields, ", "))
	}
	timeout := 10.0
	for _, field := range []struct {
		name, expected string
		target         any
	}{
		{"do", "a string", &c.do},
		{"url", "a string", &c.url},
		{"session", "a string", &c.session},
		{"count", "a whole number", &c.count},
		{"concurrency", "a whole number", &c.concurrency},
		{"interval", "a number", &c.interval},
		{"method", "a string", &c.method},
		{"headers", "an object of strings", &c.headers},
		{"body", "a string", &c.body},
		{"body_size", "a whole number", &c.bodySize},
		{"timeout", "a number", &timeout},
		{"rate", "a number", &c.rate},
		{"duration", "a number", &c.duration},
		{"interval_most", "a number", &c.intervalMost},
		{"seed", "a string", &c.seed},
	} {
		if value, ok := raw[field.name]; ok && json.Unmarshal(value, field.target) != nil {
			return c, fmt.Errorf("%s: expected %s, not %s", field.name, field.expected, value)
		}
	}
	c.timeout = seconds(timeout)
	return c, c.check(timeout)
}

func unknown(raw map[string]json.RawMessage) string {
	var names []string
	for name := range raw {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if !contains(fields, name) {
			return name
		}
	}
	return ""
}

func (c command) check(timeout float64) error {
	switch {
	case c.do == "close":
		return nil
	case c.do != "request":
		return fmt.Errorf("unknown command '%s'; there are: request, close", c.do)
	case !strings.HasPrefix(strings.ToLower(c.url), "http://") || strings.ContainsAny(c.url, " \t\r\n"):
		return fmt.Errorf("url: expected an absolute http:// URL, not '%s'", c.url)
	case c.count < 1:
		return fmt.Errorf("count: expected 1 or more, not %d", c.count)
	case c.concurrency < 1:
		return fmt.Errorf("concurrency: expected 1 or more, not %d", c.concurrency)
	case c.interval < 0:
		return fmt.Errorf("interval: expected 0 or more, not %g", c.interval)
	case c.rate != nil && *c.rate <= 0:
		return fmt.Errorf("rate: expected requests a second, more than 0, not %g", *c.rate)
	case c.duration != nil && *c.duration <= 0:
		return fmt.Errorf("duration: expected seconds, more than 0, not %g", *c.duration)
	case c.intervalMost != nil && *c.intervalMost < c.interval:
		return fmt.Errorf("interval_most: expected %g or more, not %g", c.interval, *c.intervalMost)
	case c.bodySize != nil && *c.bodySize < 1:
		return fmt.Errorf("body_size: expected 1 or more, not %d", *c.bodySize)
	case c.bodySize != nil && c.body != nil:
		return errors.New("body_size: the command has a `body` already")
	case timeout <= 0:
		return fmt.Errorf("timeout: expected seconds, more than 0, not %g", timeout)
	}
	for name, value := range c.headers {
		if !token.MatchString(name) || strings.ContainsAny(value, "\r\n\x00") {
			return fmt.Errorf("headers: %q: %q cannot be sent", name, value)
		}
	}
	request, err := c.request()
	if err != nil {
		return errors.New("net/http refuses it: " + err.Error())
	}
	if port := request.URL.Port(); request.URL.Hostname() == "" || port != "" && !isPort(port) {
		return fmt.Errorf("url: '%s' has no host, or a port that there is not", c.url)
	}
	return nil
}

// request is what net/http is given.
func (c command) request() (*http.Request, error) {
	var request *http.Request
	var err error
	if c.bodySize != nil {
		request, err = http.NewRequest(c.method, c.url, madeUp(*c.bodySize))
	} else if c.body == nil {
		request, err = http.NewRequest(c.method, c.url, nil)
	} else {
		request, err = http.NewRequest(c.method, c.url, strings.NewReader(*c.body))
	}
	if err != nil {
		return nil, err
	}
	if c.bodySize != nil {
		request.ContentLength = *c.bodySize
		request.GetBody = func() (io.ReadCloser, error) { return madeUp(*c.bodySize), nil } // to send it again
	}
	for name, value := range c.headers {
		request.Header.Set(name, value)
	}
	if host := request.Header.Get("Host"); host != "" {
		request.Host = host // Go does not look for it among the headers
	}
	return request, nil
}

func isPort(text string) bool {
	port, err := strconv.ParseUint(text, 10, 16)
	return err == nil && port > 0
}

// seconds as net/http takes them, which counts nanoseconds and ends after 292 years.
func seconds(n float64) time.Duration {
	return time.Duration(math.Min(n*1e9, math.MaxInt64/2))
}

func contains(all []string, one string) bool {
	for _, each := range all {
		if each == one {
			return true
		}
	}
	return false
}
