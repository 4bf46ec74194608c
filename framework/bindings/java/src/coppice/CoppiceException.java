// Errors of the library as exceptions.
package coppice;

import java.nio.charset.StandardCharsets;

/**
 * What a call came back with: a code of the one table (docs/errors.md) and its reason in words. Those that programs handle have a
 * class of their own, within this one.
 */
public class CoppiceException extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final int code;

    CoppiceException(int code, String text) {
        super(text);
        this.code = code;
    }

    /** A number of the one table. */
    public int code() {
        return code;
    }

    /** Its name there: "mailbox_full". */
    public String codeName() {
        return new String(Native.codeName(code), StandardCharsets.UTF_8);
    }

    /** The time limit passed. */
    public static final class Timeout extends CoppiceException {
        private static final long serialVersionUID = 1;

        Timeout(int code, String text) {
            super(code, text);
        }
    }

    /** The actor has ended, or never existed. */
    public static final class Down extends CoppiceException {
        private static final long serialVersionUID = 1;

        Down(int code, String text) {
            super(code, text);
        }
    }

    /** The receiver's mailbox is at its bound. */
    public static final class MailboxFull extends CoppiceException {
        private static final long serialVersionUID = 1;

        MailboxFull(int code, String text) {
            super(code, text);
        }
    }

    /** No link leads to the actor's node. */
    public static final class Unreachable extends CoppiceException {
        private static final long serialVersionUID = 1;

        Unreachable(int code, String text) {
            super(code, text);
        }
    }

    /** The actor that was asked does not take such a request. */
    public static final class NoHandler extends CoppiceException {
        private static final long serialVersionUID = 1;

        NoHandler(int code, String text) {
            super(code, text);
        }
    }

    /** The actor that was asked has let go of the request without a reply. */
    public static final class NoReply extends CoppiceException {
        private static final long serialVersionUID = 1;

        NoReply(int code, String text) {
            super(code, text);
        }
    }

    /** Nothing has that name. */
    public static final class NotFound extends CoppiceException {
        private static final long serialVersionUID = 1;

        NotFound(int code, String text) {
            super(code, text);
        }
    }

    /** A living actor, or node, has that name. */
    public static final class NameTaken extends CoppiceException {
        private static final long serialVersionUID = 1;

        NameTaken(int code, String text) {
            super(code, text);
        }
    }

    /** The actor or its node is asked to end. */
    public static final class Stopping extends CoppiceException {
        private static final long serialVersionUID = 1;

        Stopping(int code, String text) {
            super(code, text);
        }
    }

    /** The other side answered with an error of its own: its words. */
    public static final class Failed extends CoppiceException {
        private static final long serialVersionUID = 1;

        Failed(int code, String text) {
            super(code, text);
        }
    }

    /** A value out of its documented range. */
    public static final class InvalidArgument extends CoppiceException {
        private static final long serialVersionUID = 1;

        InvalidArgument(int code, String text) {
            super(code, text);
        }
    }

    /** What was used has been closed, or the request answered. */
    public static final class Closed extends CoppiceException {
        private static final long serialVersionUID = 1;

        Closed(int code, String text) {
            super(code, text);
        }
    }

    /** The actor's node has ended, or was out of reach for too long. */
    public static final class NodeLost extends CoppiceException {
        private static final long serialVersionUID = 1;

        NodeLost(int code, String text) {
            super(code, text);
        }
    }

    /** A message, or a value, is beyond a limit. */
    public static final class TooLarge extends CoppiceException {
        private static final long serialVersionUID = 1;

        static final int CODE = 29;

        TooLarge(int code, String text) {
            super(code, text);
        }
    }

    static CoppiceException of(int code, String text) {
        return switch (code) {
            case 1 -> new Timeout(code, text);
            case 2 -> new Down(code, text);
            case 3 -> new MailboxFull(code, text);
            case 4 -> new Unreachable(code, text);
            case 6 -> new NoHandler(code, text);
            case 7 -> new NoReply(code, text);
            case 10 -> new NotFound(code, text);
            case 11 -> new NameTaken(code, text);
            case 17 -> new Stopping(code, text);
            case 18 -> new Failed(code, text);
            case 19 -> new InvalidArgument(code, text);
            case 21 -> new Closed(code, text);
            case 22 -> new NodeLost(code, text);
            case TooLarge.CODE -> new TooLarge(code, text);
            default -> new CoppiceException(code, text);
        };
    }
}
