// Nodes: how a process takes part in a tree.
package coppice;

import java.lang.System.Logger.Level;
import java.nio.file.Path;
import java.time.Duration;

/** This process's part in a tree. When it is closed it leaves the tree, and its actors end. Any thread. */
public final class Node extends Handle {
    Node(long handle) {
        super(handle);
    }

    /** Joins the tree of that name on this machine. NotFound: no such tree runs. */
    public static Node join(String tree) {
        return new Options().tree(tree).open();
    }

    /** Begins a tree, which others can join by that name. */
    public static Node begin(String name) {
        return new Options().name(name).open();
    }

    /** An actor of this process, with a name that nobody else has. */
    public Actor actor() {
        return actor(null);
    }

    /** An actor of this process: /NODE/NAME. */
    public Actor actor(String name) {
        return actor(name, 0);
    }

    /** With a mailbox for so many messages. */
    public Actor actor(String name, int mailbox) {
        if (mailbox < 0) throw new IllegalArgumentException("a mailbox has room for 1 message or more, or 0: 65,536");
        return new Actor(Native.openActor(this, Values.name(name), mailbox));
    }

    static int number(Level level) {
        return switch (level) {
            case ALL, TRACE -> 1;
            case DEBUG -> 2;
            case INFO -> 3;
            case WARNING -> 4;
            case ERROR -> 5;
            case OFF -> 6;
        };
    }

    /** What a node is opened with. It joins a tree by its name or at an endpoint, or begins one if neither is given. */
    public static final class Options {
        private String name;
        private String tree;
        private String parent;
        private String listen;
        private String secretFile;
        private String secretEnv;
        private Duration hold = Duration.ZERO;
        private Duration joinWithin = Duration.ZERO;
        private Level logLevel = Level.INFO;

        /** Of the node; otherwise it has one that nobody else has. */
        public Options name(String name) {
            this.name = name;
            return this;
        }

        /** Joins the tree of that name on this machine. */
        public Options tree(String tree) {
            this.tree = tree;
            return this;
        }

        /** Joins at this endpoint, "tcp://host:4711". */
        public Options parent(String endpoint) {
            this.parent = endpoint;
            return this;
        }

        /** Where others can join below it. */
        public Options listen(String... endpoints) {
            this.listen = endpoints.length == 0 ? null : String.join(",", endpoints);
            return this;
        }

        /** Both sides prove that they know what is in it. */
        public Options secretFile(Path file) {
            this.secretFile = file.toString();
            return this;
        }

        /** The same, from a variable of the environment. */
        public Options secretEnv(String variable) {
            this.secretEnv = variable;
            return this;
        }

        /** How long the tree may be out of reach before it counts as lost; 60 s. */
        public Options hold(Duration time) {
            this.hold = time;
            return this;
        }

        /** The time limit for joining; 5 s, and no less. */
        public Options joinWithin(Duration time) {
            this.joinWithin = time;
            return this;
        }

        /** What is logged goes to standard error. */
        public Options logLevel(Level level) {
            this.logLevel = level;
            return this;
        }

        /** NotFound, Unreachable, NameTaken and others, as the library says. */
        public Node open() {
            return new Node(Native.openNode(
                    Values.name(name),
                    Values.name(tree),
                    Values.name(parent),
                    Values.name(listen),
                    Values.name(secretFile),
                    Values.name(secretEnv),
                    Values.milliseconds(hold),
                    Values.milliseconds(joinWithin),
                    number(logLevel)));
        }
    }
}
