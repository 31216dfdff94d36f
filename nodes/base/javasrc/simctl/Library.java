package simctl;

/** What a client is made of: a library for HTTP. */
interface Library {
    /** Throws IllegalArgumentException for what the library would refuse before it sent anything. */
    void check(Command command);

    Session open();

    /** A command is over that closed sessions, one or many; for what is better done once. */
    default void closed() {}

    /** What keeps connections for reuse. Several threads use it at a time. */
    interface Session extends AutoCloseable {
        /**
         * One call of the library, until the body is read or it gave up; reports its exchanges to `call`.
         *
         * @return how many bytes the body has
         */
        long perform(Call call) throws Exception;

        /** End it with all that it keeps open. */
        @Override
        void close();
    }
}
