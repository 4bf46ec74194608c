// Says hello to an actor of a tree of this machine, and asks it something: hello TREE PATH.
program hello;

{$mode objfpc}{$H+}

// [hello]
uses
  coppice;

var
  Me: IActor;
  Shop: IRef;
begin
  Me := JoinTree(ParamStr(1), 'hello');
  Shop := Me.Find(ParamStr(2));
  Me.Send(Shop, 'hello');
  WriteLn(Me.Ask(Shop, MapOf(['price of', 'tea'])).ToText);
end.
// [/hello]
