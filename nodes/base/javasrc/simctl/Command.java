package simctl;

import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A `request` command as nodes/README.md has it, checked, with its defaults. What has none may be null. */
record Command(
        Object id,
        String url,
        String session,
        int count,
        int concurrency,
        Duration interval,
        String method,
        Map<String, String> headers,
        byte[] body,
        Duration timeout,
        Double rate,
        Duration duration,
        Duration intervalMost,
        String seed) {

    static final List<String> FIELDS = List.of(
            "id", "do", "url", "session", "count", "concurrency", "interval", "method", "headers", "body", "timeout",
            "rate", "duration", "interval_most", "seed");

    private static final String TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"; // RFC 9110, section 5.6.2
    private static final BigDecimal MOST = BigDecimal.valueOf(Integer.MAX_VALUE);

    /** Throws IllegalArgumentException for what is wrong; nothing was sent then. */
    static Command read(Map<?, ?> raw) {
        String url = text(raw, "url", "");
        if (!url.toLowerCase().startsWith("http://")) {
            throw new IllegalArgumentException("url: expected an absolute http:// URL, not '" + url + "'");
        }
        String method = text(raw, "method", "GET");
        if (!method.matches(TOKEN)) {
            throw wrong("method", "one word", method);
        }
        String body = text(raw, "body", null);
        return new Command(
                raw.get("id"),
                url,
                text(raw, "session", null),
                whole(raw, "count"),
                whole(raw, "concurrency"),
                seconds(raw, "interval", "0", false),
                method,
                headers(raw),
                body == null ? null : body.getBytes(StandardCharsets.UTF_8),
                seconds(raw, "timeout", "10", true),
                rate(raw),
                raw.get("duration") == null ? null : seconds(raw, "duration", null, true),
                intervalMost(raw),
                text(raw, "seed", ""));
    }

    private static Double rate(Map<?, ?> raw) {
        if (raw.get("rate") == null) {
            return null;
        }
        String expected = "requests a second, more than 0";
        BigDecimal value = number(raw, "rate", null, expected);
        if (value.signum() <= 0) {
            throw wrong("rate", expected, value);
        }
        return value.doubleValue();
    }

    private static Duration intervalMost(Map<?, ?> raw) {
        if (raw.get("interval_most") == null) {
            return null;
        }
        Duration most = seconds(raw, "interval_most", null, false);
        if (most.compareTo(seconds(raw, "interval", "0", false)) < 0) {
            BigDecimal least = number(raw, "interval", "0", "");
            throw wrong("interval_most", least.toPlainString() + " or more", raw.get("interval_most"));
        }
        return most;
    }

    static String text(Map<?, ?> raw, String name, String otherwise) {
        Object value = raw.get(name);
        if (value != null && !(value instanceof String)) {
            throw wrong(name, "a text", value);
        }
        return value == null ? otherwise : (String) value;
    }

    private static int whole(Map<?, ?> raw, String name) {
        BigDecimal value = number(raw, name, "1", "a whole number, 1 or more");
        if (value.stripTrailingZeros().scale() > 0 || value.signum() <= 0 || value.compareTo(MOST) > 0) {
            throw wrong(name, "a whole number, 1 or more", value);
        }
        return value.intValue();
    }

    private static Duration seconds(Map<?, ?> raw, String name, String otherwise, boolean moreThanNone) {
        String expected = moreThanNone ? "seconds, more than 0" : "seconds, 0 or more";
        BigDecimal value = number(raw, name, otherwise, expected);
        if (value.signum() < 0 || moreThanNone && value.signum() == 0 || value.compareTo(MOST) > 0) {
            throw wrong(name, expected, value);
        }
        return Duration.ofNanos(value.movePointRight(9).longValue());
    }

    private static BigDecimal number(Map<?, ?> raw, String name, String otherwise, String expected) {
        Object value = raw.get(name);
        if (value != null && !(value instanceof BigDecimal)) {
            throw wrong(name, expected, value);
        }
        return value == null ? new BigDecimal(otherwise) : (BigDecimal) value;
    }

    private static Map<String, String> headers(Map<?, ?> raw) {
        Map<String, String> headers = new LinkedHashMap<>();
        Object value = raw.get("headers");
        if (value == null) {
            return headers;
        }
        if (!(value instanceof Map<?, ?> map)) {
            throw wrong("headers", "an object", value);
        }
        map.forEach((name, content) -> {
            if (!((String) name).matches(TOKEN)) {
                throw wrong("headers", "names of one word each", name);
            }
            if (!(content instanceof String text) || !text.matches("[^\\r\\n\\00]*")) {
                throw wrong("headers: " + name, "a text in one line", content);
            }
            headers.put((String) name, (String) content);
        });
        return headers;
    }

    private static IllegalArgumentException wrong(String name, String expected, Object value) {
        return new IllegalArgumentException(name + ": expected " + expected + ", not " + Json.write(value));
    }
}
