package simctl;

import java.io.EOFException;
import java.net.SocketTimeoutException;
import java.net.UnknownHostException;
import java.nio.channels.UnresolvedAddressException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What an error of a library was: the name that all clients use for it, and the library's own words. */
final class Causes {
    /** What strerror() says, and Java's own socket code where it speaks for itself. */
    private static final Map<String, String> WORDS = new LinkedHashMap<>();

    static {
        WORDS.put("connection reset", "ConnectionResetError");
        WORDS.put("broken pipe", "BrokenPipeError");
        WORDS.put("connection refused", "ConnectionRefusedError");
        WORDS.put("connection timed out", "ETIMEDOUT");
        WORDS.put("no route to host", "EHOSTUNREACH");
        WORDS.put("network is unreachable", "ENETUNREACH");
        WORDS.put("cannot assign requested address", "EADDRNOTAVAIL");
        WORDS.put("too many open files", "EMFILE");
    }

    /** Classes of libraries, by their simple names: no library is needed to compile this. */
    private static final Map<String, String> CLASSES = Map.of(
            "HttpConnectTimeoutException", "ConnectTimeout",
            "ConnectTimeoutException", "ConnectTimeout",
            "HttpTimeoutException", "ReadTimeout",
            "NoHttpResponseException", "RemoteDisconnected",
            "ConnectionClosedException", "IncompleteRead",
            "TruncatedChunkException", "IncompleteRead");

    private static final String FORGOTTEN = "ClosedChannelException";

    private Causes() {}

    /**
     * `unconnected`: why a connection could not be made, if that is known from elsewhere; java.net.http forgets it.
     * `responded`: the head of the response was there, so an end of file is one in the body.
     */
    static Map<String, Object> error(Throwable error, Throwable unconnected, boolean responded) {
        Map<String, Object> fields = new LinkedHashMap<>();
        String name = name(error, responded);
        fields.put("name", name.equals(FORGOTTEN) && unconnected != null ? name(unconnected, responded) : name);
        fields.put("text", text(error));
        return fields;
    }

    private static String name(Throwable error, boolean responded) {
        List<Throwable> chain = chain(error);
        for (Throwable each : chain) {
            String known = CLASSES.get(each.getClass().getSimpleName());
            if (known != null) {
                return known;
            }
        }
        for (Throwable each : chain) {
            if (each instanceof UnknownHostException || each instanceof UnresolvedAddressException) {
                return "NameResolutionError";
            }
            String message = each.getMessage() == null ? "" : each.getMessage().toLowerCase();
            for (Map.Entry<String, String> entry : WORDS.entrySet()) {
                if (message.contains(entry.getKey())) {
                    return entry.getValue();
                }
            }
            if (each instanceof SocketTimeoutException) {
                return message.contains("connect") ? "ConnectTimeout" : "ReadTimeout";
            }
        }
        for (Throwable each : chain) {
            if (each instanceof EOFException) {
                return responded ? "IncompleteRead" : "RemoteDisconnected";
            }
        }
        return chain.get(chain.size() - 1).getClass().getSimpleName();
    }

    /** What the library says; where it has no words, what its causes say. */
    private static String text(Throwable error) {
        for (Throwable each : chain(error)) {
            if (each.getMessage() != null && !each.getMessage().isBlank()) {
                return each.getMessage();
            }
        }
        return error.toString();
    }

    /** The error and what it came from, the outermost first. */
    private static List<Throwable> chain(Throwable error) {
        List<Throwable> chain = new ArrayList<>();
        for (Throwable each = error; each != null && !chain.contains(each); each = each.getCause()) {
            chain.add(each);
        }
        return chain;
    }
}
