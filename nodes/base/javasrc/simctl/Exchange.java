package simctl;

import java.util.LinkedHashMap;
import java.util.Map;

/** One request on one connection and its response, as the connection saw them. Times as nanoTime() gives them. */
final class Exchange {
    private final long began = System.nanoTime();
    private final String local;
    private final String peer;
    private final Integer nth;
    private final Map<String, String> requestHeaders;
    private Integer status;
    private Map<String, String> responseHeaders;
    private Throwable failure;
    private volatile boolean unsent;

    /** `nth`: the number of the request on its connection, from 1. All null: no connection came about. */
    Exchange(String local, String peer, Integer nth, Map<String, String> requestHeaders) {
        this.local = local;
        this.peer = peer;
        this.nth = nth;
        this.requestHeaders = requestHeaders;
    }

    /** The head of the response is here. */
    synchronized void responded(int status, Map<String, String> headers) {
        this.status = status;
        this.responseHeaders = headers;
    }

    /** What the connection gave instead of a response; the library may try again. The first counts. */
    synchronized void failed(Throwable failure) {
        if (this.failure == null) {
            this.failure = failure;
        }
    }

    /** Whether a part of the request has not gone out. */
    void sending(boolean unsent) {
        this.unsent = unsent;
    }

    boolean isSending() {
        return unsent;
    }

    synchronized boolean hasResponded() {
        return status != null;
    }

    long began() {
        return began;
    }

    /** `swallowed`: the library went on after what failed here. */
    synchronized Map<String, Object> event(boolean swallowed) {
        Map<String, Object> event = new LinkedHashMap<>();
        event.put("local", local);
        event.put("peer", peer);
        event.put("sk", null);
        event.put("nth", nth);
        event.put("reused", nth != null && nth > 1);
        event.put("status", status);
        event.put("request_headers", requestHeaders);
        event.put("response_headers", responseHeaders);
        if (swallowed && failure != null) {
            event.put("send_error", Causes.error(failure, null, hasResponded()));
        }
        return event;
    }

    /** A repeated header has its values joined, as RFC 9110 section 5.3 allows. */
    static void addHeader(Map<String, String> headers, String name, String value) {
        headers.merge(name, value, (one, other) -> one + ", " + other);
    }
}
