// A child of a supervisor that gives back whatever it is asked.
//
// In C++: child("echo", in_process("./echo")). In a deployment file: program = "./echo".
program echo;

{$mode objfpc}{$H+}

// [echo]
uses
  coppice;

procedure GiveBack(const Me: IActor);
var
  Mail: IMail;
begin
  while Me.Next(Mail) do // until its supervisor ends it
    if Mail.IsRequest then
      Mail.Reply(Mail.Value)
    else
      Me.Log('got ' + Mail.Value.ToText);
end;

begin
  ExitCode := RunAsChild(@GiveBack);
end.
// [/echo]
