// Says hello to an actor of a tree of this machine, and asks it something: Hello TREE PATH.
// [hello]
import coppice.Node;
import java.util.Map;

public class Hello {
    public static void main(String[] args) {
        try (var node = Node.join(args[0]);
                var me = node.actor("hello");
                var shop = me.find(args[1])) {
            me.send(shop, "hello");
            System.out.println(me.ask(shop, Map.of("price of", "tea")));
        }
    }
}
// [/hello]
