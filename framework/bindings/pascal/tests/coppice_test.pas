// The binding against the library, within one process; as a supervised child it is tested in tests/capi. With the path of the
// program hello as its argument, that example is run, too.
program coppice_test;

{$mode objfpc}{$H+}
{$modeswitch nestedprocvars}

uses
  cthreads, BaseUnix, Classes, Math, SysUtils, Unix, coppice, coppiceabi;

const
  Long = 60000; // for what takes no time

type
  TScene = procedure;
  TNested = procedure is nested;
  TAnswer = procedure(const Mail: IMail);

var
  Tree: RawByteString; // found by its name on the whole machine
  Node: INode;
  A, B: IActor;
  ToB: IRef;
  Scenes: Integer = 0;
  Failures: Integer = 0;
  Scene: string;

// ---- the tool

procedure Expect(Holds: Boolean; const What: string);
begin
  if Holds then Exit;
  Inc(Failures);
  WriteLn('FAILED ', Scene, ': ', What);
  Flush(Output); // a program that is started takes a copy of what is not written yet
end;

procedure ExpectSame(const Got, Wanted: TValue; const What: string = '');
begin
  Expect(Got = Wanted, Format('%s %s is not %s', [What, Copy(Got.ToText, 1, 200), Copy(Wanted.ToText, 1, 200)]));
end;

procedure ExpectError(Wanted: ECoppiceClass; const Words: string; Body: TNested);
begin
  try
    Body;
  except
    on E: ECoppice do begin
      Expect(E.ClassType = Wanted, Format('%s (%s) instead of %s', [E.ClassName, E.Message, Wanted.ClassName]));
      Expect(Pos(Words, E.Message) > 0, Format('"%s" does not say "%s"', [E.Message, Words]));
      Exit;
    end;
  end;
  Expect(False, Wanted.ClassName + ' was not raised');
end;

// In a routine of its own: what a function gives is kept by the routine that calls it until that ends.
procedure SetUp;
var
  Options: TNodeOptions;
begin
  Options := Default(TNodeOptions);
  Options.Name := Tree;
  Options.LogLevel := llOff;
  Node := OpenNode(Options);
  A := Node.Actor('a');
  B := Node.Actor('b');
  ToB := A.Find('/' + Tree + '/b');
end;

// Two actors of a tree, and a ref from one to the other; nothing of all that is left afterwards.
procedure Run(const Title: string; Body: TScene);
begin
  Scene := Title;
  try
    SetUp;
    Body;
  except
    on E: Exception do Expect(False, E.ClassName + ': ' + E.Message);
  end;
  ToB := nil;
  A := nil;
  B := nil;
  Node := nil;
  Expect(OpenHandles = 0, Format('%d handles are left open', [OpenHandles]));
  Inc(Scenes);
end;

type
  // Lets an actor answer requests until it ends.
  TServer = class(TThread)
    Actor: IActor;
    Answer: TAnswer;
    procedure Execute; override;
  end;

  // Replies to one request later, from a thread of its own.
  TLater = class(TThread)
    Mail: IMail;
    Answer: TValue;
    procedure Execute; override;
  end;

  // Asks on a thread of its own.
  TAsker = class(TThread)
    Actor: IActor;
    Target: IRef;
    First, Last: Integer;
    Wrong: Integer;
    Told: string;
    procedure Execute; override;
  end;

procedure TServer.Execute;
var
  Mail: IMail;
begin
  try
    while Actor.Next(Mail) do Answer(Mail);
  except
    on E: Exception do WriteLn('FAILED the server: ', E.Message);
  end;
end;

procedure TLater.Execute;
begin
  Mail.Reply(Answer);
  Mail := nil;
end;

procedure TAsker.Execute;
var
  I: Integer;
begin
  for I := First to Last do
    try
      if Actor.Ask(Target, I, Long) <> ListOf([I]) then Inc(Wrong);
    except
      on E: ECoppice do begin
        Inc(Wrong);
        Told := E.ClassName + ': ' + E.Message;
      end;
    end;
end;

var
  Laters: array of TLater;

procedure AnswerOne(const Mail: IMail);
var
  Later: TLater;
begin
  if Mail.Value = TValue('fail') then
    Mail.Fail('it cannot be done')
  else if Mail.Value = TValue('later') then begin
    Later := TLater.Create(True);
    Later.Mail := Mail;
    Later.Answer := 'at last';
    Insert(Later, Laters, 0);
    Later.Start;
  end
  else if Mail.Value <> TValue('drop') then
    Mail.Reply(ListOf([Mail.Value]));
end;

// Runs Body while b answers requests on a thread.
procedure WhileServing(Body: TNested);
var
  Server: TServer;
  Later: TLater;
begin
  Server := TServer.Create(True);
  Server.Actor := B;
  Server.Answer := @AnswerOne;
  Server.Start;
  try
    Body;
  finally
    A.Stop(ToB);
    Server.WaitFor;
    Server.Free;
    for Later in Laters do begin
      Later.WaitFor;
      Later.Free;
    end;
    Laters := nil;
  end;
end;

// ---- values

function AllValues: TValues;
var
  Count: Integer = 0;

  procedure Add(const V: TValue);
  begin
    if Count = Length(Result) then SetLength(Result, Count + 32);
    Result[Count] := V;
    Inc(Count);
  end;

begin
  Result := nil;
  Add(Nothing);
  Add(True);
  Add(False);
  Add(0);
  Add(-1);
  Add(Int64(1) shl 31);
  Add(High(Int64));
  Add(Low(Int64));
  Add(UInt64(5));
  Add(UInt64(1) shl 63);
  Add(High(UInt64));
  Add(0.0);
  Add(-0.0);
  Add(-1.5);
  Add(Infinity);
  Add(NegInfinity);
  Add(NaN);
  Add(5e-324);
  Add('');
  Add('text');
  Add('with a zero '#0' inside');
  Add('four bytes: '#$F0#$9D#$84#$9E);
  Add(UnicodeString('of wide characters: ') + WideChar($FC));
  Add(BytesOf(''));
  Add(BytesOf(#0#255));
  Add(ListOf([]));
  Add(ListOf([1, ListOf([2.5, ListOf(['three', Nothing])])]));
  Add(MapOf([]));
  Add(MapOf(['name', 'tea', 7, ListOf([BytesOf('x')]), Nothing, MapOf([True, False]), ListOf([1]), 'a list is a key']));
  Add(Tagged(High(UInt64), BytesOf(#0'{}')));
  Add(Tagged(0, nil));
  Add(RecordOf([]));
  Add(RecordOf([1, 'x', ListOf([Nothing])]));
  Add(RecordOf([1], 'shop::order'));
  SetLength(Result, Count);
end;

procedure ValuesArriveAsTheyWereSent;
var
  V: TValue;
  Mail: IMail;
begin
  for V in AllValues do begin
    A.Send(ToB, V);
    Mail := B.Receive(Long);
    ExpectSame(Mail.Value, V);
    Expect(Mail.Kind = mkMessage, 'it is no message');
    Expect(not Mail.IsRequest, 'it is a request');
  end;
end;

procedure ValuesArriveByWaitingForRoomToo;
var
  V: TValue;
begin
  for V in AllValues do begin
    A.Send(ToB, V, Long);
    ExpectSame(B.Receive(Long).Value, V);
  end;
end;

procedure ValuesArriveWithinAList;
var
  All: TValues;
  Back, Parts: TValue;
  Content: TBytes;
  Tag: UInt64;
  I: Integer;
begin
  All := AllValues;
  A.Send(ToB, ListOf(All));
  Back := B.Receive(Long).Value;
  Expect(Back.Count = Length(All), 'some are missing');
  for I := 0 to High(All) do
    if All[I].Kind <> vkTagged then ExpectSame(Back[I], All[I]);
  // Which comes as a record there.
  A.Send(ToB, ListOf([Tagged(High(UInt64), BytesOf(#0'{}'))]));
  Parts := B.Receive(Long).Value;
  Content := Parts[0].AsTagged(Tag);
  Expect(Tag = High(UInt64), 'the tag');
  ExpectSame(Content, BytesOf(#0'{}'));
end;

procedure ValuesThatDifferAreNotEqual;
const
  OtherNaN: UInt64 = $7FF8000000000001;
var
  All: TValues;
  I, K: Integer;
begin
  Expect(TValue(NaN) = TValue(PDouble(@OtherNaN)^), 'two that are no numbers');
  All := AllValues;
  for I := 0 to High(All) do
    for K := 0 to High(All) do
      Expect((All[I] = All[K]) = (I = K), Format('%s and %s', [All[I].ToText, All[K].ToText]));
end;

procedure ValuesOfSixteenMebibytesArrive;
var
  Bytes: TBytes;
begin
  Bytes := nil;
  SetLength(Bytes, 16 shl 20);
  FillChar(Bytes[0], Length(Bytes), $AB);
  A.Send(ToB, RawByteString(StringOfChar('x', 16 shl 20)));
  ExpectSame(B.Receive(Long).Value, RawByteString(StringOfChar('x', 16 shl 20)));
  A.Send(ToB, Bytes);
  ExpectSame(B.Receive(Long).Value, Bytes);
end;

procedure ValuesNestAsDeepAsTheLibraryAllows;
var
  V: TValue;

  procedure Deeper;
  begin
    ListOf([V]);
  end;

var
  I: Integer;
begin
  V := 'inside';
  for I := 1 to 32 do V := ListOf([V]);
  A.Send(ToB, V);
  ExpectSame(B.Receive(Long).Value, V);
  ExpectError(ECoppiceTooLarge, 'flatten', @Deeper);
end;

procedure ValuesAreReadAsWhatTheyAre;
var
  V: TValue;

  procedure TextOfANumber;
  begin
    V.AsText;
  end;

  procedure Signed;
  begin
    V.AsInt;
  end;

  procedure Unsigned;
  begin
    V.AsUInt;
  end;

  procedure Real;
  begin
    V.AsReal;
  end;

  procedure Beyond;
  begin
    V[3].IsNothing;
  end;

  procedure WithoutAValue;
  begin
    MapOf(['key']);
  end;

begin
  V := High(UInt64);
  ExpectError(ECoppiceWrongProtocol, 'not a text', @TextOfANumber);
  ExpectError(ECoppiceWrongProtocol, 'does not fit', @Signed);
  ExpectError(ECoppiceWrongProtocol, 'does not fit', @Real);
  V := -1;
  ExpectError(ECoppiceWrongProtocol, 'does not fit', @Unsigned);
  Expect(V.AsReal = -1.0, 'an integer is a real number, too');
  Expect(TValue(UInt64(7)).AsInt = 7, 'unsigned as signed');
  Expect(TValue(7).AsUInt = 7, 'signed as unsigned');
  V := MapOf(['a', 1, 'b', True, 'c', 'x']);
  ExpectError(ECoppiceNotFound, 'only 3', @Beyond);
  Expect(V.Find('b').AsBool, 'the value of a key');
  Expect(V.Find('d').IsNothing, 'the value of a key that it has not');
  ExpectSame(V.Keys[2], 'c');
  Expect(RecordOf([], 'shop::order').TypeId = TypeIdOf('shop::order'), 'the type of a record');
  ExpectError(ECoppiceInvalidArgument, 'no value', @WithoutAValue);
end;

procedure ValuesThatCannotBeSentAreRefusedAndNothingIsLeft;

  procedure NoUtf8;
  begin
    A.Send(ToB, RawByteString('gr'#$FC'n'));
  end;

  procedure NoUtf8Within;
  begin
    A.Send(ToB, ListOf([1, MapOf([ListOf([2]), RawByteString(#$C0#$80)])]));
  end;

  procedure NoRef;
  var
    None: IRef;
  begin
    None := nil;
    A.Send(ToB, None);
  end;

  procedure ToNobody;
  begin
    A.Send(nil, 1);
  end;

  procedure NothingCame;
  begin
    B.Receive(0);
  end;

var
  Before: PtrUInt;
begin
  Before := OpenHandles;
  ExpectError(ECoppiceInvalidArgument, 'no UTF-8', @NoUtf8);
  ExpectError(ECoppiceInvalidArgument, 'no UTF-8', @NoUtf8Within);
  ExpectError(ECoppiceInvalidArgument, 'nil', @NoRef);
  ExpectError(ECoppiceInvalidArgument, 'is 0', @ToNobody);
  Expect(OpenHandles = Before, 'handles are left');
  ExpectError(ECoppiceTimeout, 'no mail', @NothingCame);
end;

procedure ARefLeadsBack;
var
  Mail: IMail;
  Back: IRef;
begin
  A.Send(ToB, ListOf([A.Ref]));
  Mail := B.Receive(Long);
  Back := Mail.Value[0].AsRef;
  Expect(Back.Same(Mail.Sender), 'the sender is another one');
  Expect(not Back.Same(ToB), 'all refs are the same');
  Expect(not Back.Same(nil), 'no ref is the same');
  Expect(Back.ToText <> '', 'it has no text');
  B.Send(Back, 'here');
  ExpectSame(A.Receive(Long).Value, 'here');
end;

// ---- asking

procedure AskingReturnsWhatWasReplied;

  procedure AskAll;
  var
    V: TValue;
  begin
    for V in AllValues do
      ExpectSame(A.Ask(ToB, V, Long), ListOf([V]));
    ExpectSame(A.Ask(ToB, 'later', Long), 'at last');
  end;

begin
  WhileServing(@AskAll);
end;

procedure AskingRaisesWhatItCameBackWith;

  procedure AskToFail;
  begin
    A.Ask(ToB, 'fail', Long);
  end;

  procedure AskToDrop;
  begin
    A.Ask(ToB, 'drop', Long);
  end;

  procedure AskBoth;
  begin
    ExpectError(ECoppiceFailed, 'it cannot be done', @AskToFail);
    ExpectError(ECoppiceNoReply, 'dropped', @AskToDrop);
    try
      AskToDrop;
    except
      on E: ECoppice do Expect((E.Code = 7) and (E.Name = 'no_reply'), 'its code is ' + E.Name);
    end;
  end;

begin
  WhileServing(@AskBoth);
end;

procedure AskingHasALimit;

  procedure Ask;
  begin
    A.Ask(ToB, 'nobody receives', 10);
  end;

begin
  ExpectError(ECoppiceTimeout, 'timeout', @Ask);
end;

procedure AskingByTwoThreadsGivesEachItsOwnAnswers;

  procedure AskByBoth;
  var
    Askers: array[0..1] of TAsker;
    I: Integer;
  begin
    for I := 0 to 1 do begin
      Askers[I] := TAsker.Create(True);
      Askers[I].Actor := A;
      Askers[I].Target := ToB;
      Askers[I].First := I * 1000;
      Askers[I].Last := I * 1000 + 199;
    end;
    for I := 0 to 1 do Askers[I].Start;
    for I := 0 to 1 do begin
      Askers[I].WaitFor;
      Expect(Askers[I].Wrong = 0, Format('%d answers are wrong. %s', [Askers[I].Wrong, Askers[I].Told]));
      Askers[I].Free;
    end;
  end;

begin
  WhileServing(@AskByBoth);
end;

procedure ARequestIsAnsweredOnce;
var
  Mail: IMail;

  procedure Again;
  begin
    Mail.Reply(2);
  end;

var
  Asker: TAsker;
begin
  Asker := TAsker.Create(True);
  Asker.Actor := A;
  Asker.Target := ToB;
  Asker.First := 5;
  Asker.Last := 5;
  Asker.Start;
  Mail := B.Receive(Long);
  Expect(Mail.IsRequest, 'it is no request');
  Mail.Reply(ListOf([Mail.Value]));
  ExpectError(ECoppiceClosed, 'answered before', @Again);
  Asker.WaitFor;
  Expect(Asker.Wrong = 0, 'the first answer is the one');
  Asker.Free;
end;

// ---- mail

procedure MailIsWaitedForAndPolled;

  procedure Wait;
  begin
    B.Receive(10);
  end;

  procedure Poll;
  begin
    B.Receive(0);
  end;

var
  Began: QWord;
  Mail: IMail;
begin
  ExpectError(ECoppiceTimeout, 'no mail', @Poll);
  Expect(not B.TryReceive(Mail), 'there is mail');
  Began := GetTickCount64;
  ExpectError(ECoppiceTimeout, 'no mail', @Wait);
  Expect(GetTickCount64 >= Began + 9, 'it did not wait');
  A.Send(ToB, 1);
  Expect(B.TryReceive(Mail, Long), 'there is no mail');
  ExpectSame(Mail.Value, 1);
end;

procedure MailWakesWhoeverWaitsForItsDescriptor;

  function IsReadable(WithinMs: Integer): Boolean;
  var
    Look: TPollFd;
  begin
    Look.fd := B.Descriptor;
    Look.events := POLLIN;
    Look.revents := 0;
    Result := FpPoll(@Look, 1, WithinMs) = 1;
  end;

begin
  Expect(not IsReadable(0), 'it is readable before');
  A.Send(ToB, 'wake up');
  Expect(IsReadable(Long), 'it is not readable');
  B.Receive(0);
  Expect(not IsReadable(0), 'it is readable after');
end;

procedure PeekAndReceive;
begin
  Expect(B.Peek(Long) = B.Receive(0), 'another one is received');
end;

procedure MailThatWasPeekedAtIsGivenBackWithTheRest;
var
  Before: PtrUInt;
begin
  Before := OpenHandles;
  A.Send(ToB, 1);
  PeekAndReceive;
  Expect(OpenHandles = Before, 'it is still open');
end;

procedure MailThatIsPeekedAtStays;
var
  Seen, Mail: IMail;
begin
  A.Send(ToB, 'first');
  A.Send(ToB, 'second');
  Seen := B.Peek(Long);
  ExpectSame(Seen.Value, 'first');
  Expect(B.Peek(0) = Seen, 'another one the second time');
  Mail := B.Receive(0);
  Expect(Mail = Seen, 'another one is received');
  Mail.Close;
  ExpectSame(B.Peek(Long).Value, 'second');
  B.Peek(0).Close; // and so it is gone
  Expect(not B.TryReceive(Mail), 'it is still there');
  A.Send(ToB, 'third');
  Seen := B.Peek(Long);
  Seen := nil; // it stays for whoever receives
  ExpectSame(B.Receive(0).Value, 'third');
end;

procedure MailEndsWithTheActor;
var
  Mail: IMail;
  Got: Integer = 0;

  procedure Receive;
  begin
    B.Receive(Long);
  end;

begin
  A.Send(ToB, 'the last');
  A.Stop(ToB);
  while B.Next(Mail) do begin
    ExpectSame(Mail.Value, 'the last');
    Inc(Got);
  end;
  Expect(Got = 1, Format('%d mails', [Got]));
  Expect(Mail = nil, 'the mail before is still there');
  ExpectError(ECoppiceStopping, 'asked to end', @Receive);
end;

procedure MailTellsTheEndOfWhoIsMonitored;
var
  Number: UInt64;
  Mail: IMail;
begin
  A.Demonitor(A.Monitor(ToB));
  Number := A.Monitor(ToB);
  A.Stop(ToB);
  while B.Next(Mail) do ;
  B.Close;
  Mail := A.Receive(Long);
  Expect(Mail.HasEnded and (Mail.Kind = mkEnded), 'it tells no end');
  Expect(Mail.Number = Number, 'it tells another one''s end');
  Expect(Mail.Value.Kind = vkText, 'it tells no reason');
end;

procedure MailTellsWhyAnActorGaveUp;
var
  Number: UInt64;
  Mail: IMail;
begin
  Number := A.Monitor(ToB);
  B.GiveUp('no flour');
  B.Close;
  Mail := A.Receive(Long);
  Expect(Mail.HasEnded and (Mail.Number = Number), 'it tells no end');
  Expect(Pos('no flour', Mail.Value.AsText) > 0, Mail.Value.AsText);
end;

procedure MailOfAnActorThatIsKilledIsLost;
var
  Mail: IMail;
begin
  A.Monitor(ToB);
  A.Kill(ToB);
  Expect(A.Receive(Long).HasEnded, 'it tells no end');
  Expect(not B.Next(Mail), 'it has mail');
  A.Shutdown(A.Ref, Long);
  Expect(not A.Next(Mail), 'it has mail');
end;

procedure MailToAGroupReachesTheOthers;
begin
  A.Join('news');
  B.Join('news');
  Expect(A.Publish('news', MapOf(['it', 'rains'])) = 1, 'not one member');
  ExpectSame(B.Receive(Long).Value, MapOf(['it', 'rains']));
  B.Leave('news');
  Expect(A.Publish('news', 1) = 0, 'it is still a member');
end;

procedure MailboxesHaveABound;
var
  Small: IActor;
  ToSmall: IRef;
  Sent: Integer = 0;

  procedure Fill;
  begin
    while Sent < 10000 do begin
      A.Send(ToSmall, Sent, 1);
      Inc(Sent);
    end;
  end;

begin
  Small := Node.Actor('small', 4);
  ToSmall := A.Find('/' + Tree + '/small');
  ExpectError(ECoppiceTimeout, 'timeout', @Fill);
  Expect(Sent >= 4, Format('only %d were taken', [Sent]));
end;

// ---- names and handles

procedure NamesAreTakenOnceAndFoundOnlyWhereSomebodyHasThem;

  procedure Taken;
  begin
    Node.Actor('a');
  end;

  procedure Nobody;
  begin
    A.Find('/' + Tree + '/nobody');
  end;

  procedure Elsewhere;
  begin
    A.Find('/elsewhere/nobody');
  end;

  procedure NoTree;
  begin
    JoinTree('a-tree-that-does-not-run');
  end;

  procedure NoName;
  begin
    JoinTree('');
  end;

  procedure WithAZero;
  begin
    A.Find('/' + Tree + #0'/a');
  end;

begin
  ExpectError(ECoppiceNameTaken, 'name_taken', @Taken);
  ExpectError(ECoppiceNotFound, 'not_found', @Nobody);
  ExpectError(ECoppiceUnreachable, 'unreachable', @Elsewhere);
  ExpectError(ECoppiceNotFound, 'a-tree-that-does-not-run', @NoTree);
  ExpectError(ECoppiceInvalidArgument, 'named', @NoName);
  ExpectError(ECoppiceInvalidArgument, 'zero', @WithAZero);
  Expect(A.Path = '/' + Tree + '/a', 'its path is ' + A.Path);
end;

procedure AnActorKeepsItsNodeOpen;
var
  Far: IActor;
begin
  Far := JoinTree(Tree, 'far');
  Far.Send(Far.Find('/' + Tree + '/b'), 'from the other node');
  ExpectSame(B.Receive(Long).Value, 'from the other node');
end;

procedure HandlesThatWereClosedAreToldAsSuch;

  procedure UseActor;
  begin
    B.Ref;
  end;

  procedure UseRef;
  begin
    A.Send(ToB, 1);
  end;

  procedure UseNode;
  begin
    Node.Actor;
  end;

  procedure UseMail;
  var
    Mail: IMail;
  begin
    A.Send(A.Ref, 1);
    Mail := A.Receive(Long);
    Mail.Close;
    Mail.Fail('too late');
  end;

begin
  ExpectError(ECoppiceClosed, 'closed', @UseMail);
  B.Close;
  B.Close;
  ExpectError(ECoppiceClosed, 'closed', @UseActor);
  ToB.Close;
  ExpectError(ECoppiceClosed, 'closed', @UseRef);
  Node.Close;
  ExpectError(ECoppiceClosed, 'closed', @UseNode);
end;

procedure HandlesOfAnotherKindAreRefused;
var
  Code: Integer;
  Made: THandle;
begin
  Code := coppice_self(ToB.Handle, Made);
  Expect((Code = 19) and (Made = 0), coppice_error_text);
end;

procedure WhoIsNoChildIsTold;

  procedure BeChild;
  begin
    RunAsChild(TChildMethod(nil));
  end;

begin
  Expect(not IsChild, 'it is a child');
  ExpectError(ECoppiceNotFound, 'supervisor', @BeChild);
end;

procedure ARealNumberIsComputedAsInC;
var
  Zero: Double = 0;
begin
  Expect(IsInfinite(1 / Zero), 'one by nothing');
end;

// ---- examples

procedure HelloSaysHelloAndIsToldThePrice;
var
  Hello: Text;
  Mail: IMail;
  Told: string;
begin
  Expect(POpen(Hello, Format('%s %s %s', [ParamStr(1), Tree, B.Path]), 'R') = 0, 'it does not start');
  ExpectSame(B.Receive(Long).Value, 'hello');
  Mail := B.Receive(Long);
  ExpectSame(Mail.Value, MapOf(['price of', 'tea']));
  Mail.Reply(2.5);
  ReadLn(Hello, Told);
  Expect(Told = '2.5', 'it said ' + Told);
  Expect(PClose(Hello) = 0, 'its exit code');
end;

begin
  Tree := 'test-pascal-' + IntToStr(GetProcessID);
  Run('values arrive as they were sent', @ValuesArriveAsTheyWereSent);
  Run('values arrive by waiting for room, too', @ValuesArriveByWaitingForRoomToo);
  Run('values arrive within a list', @ValuesArriveWithinAList);
  Run('values that differ are not equal', @ValuesThatDifferAreNotEqual);
  Run('values of 16 MiB arrive', @ValuesOfSixteenMebibytesArrive);
  Run('values nest as deep as the library allows', @ValuesNestAsDeepAsTheLibraryAllows);
  Run('values are read as what they are', @ValuesAreReadAsWhatTheyAre);
  Run('values that cannot be sent are refused', @ValuesThatCannotBeSentAreRefusedAndNothingIsLeft);
  Run('a ref leads back', @ARefLeadsBack);
  Run('asking returns what was replied', @AskingReturnsWhatWasReplied);
  Run('asking raises what it came back with', @AskingRaisesWhatItCameBackWith);
  Run('asking has a limit', @AskingHasALimit);
  Run('asking by two threads gives each its own answers', @AskingByTwoThreadsGivesEachItsOwnAnswers);
  Run('a request is answered once', @ARequestIsAnsweredOnce);
  Run('mail is waited for and polled', @MailIsWaitedForAndPolled);
  Run('mail wakes whoever waits for its descriptor', @MailWakesWhoeverWaitsForItsDescriptor);
  Run('mail that is peeked at stays', @MailThatIsPeekedAtStays);
  Run('mail that was peeked at is given back with the rest', @MailThatWasPeekedAtIsGivenBackWithTheRest);
  Run('mail ends with the actor', @MailEndsWithTheActor);
  Run('mail tells the end of who is monitored', @MailTellsTheEndOfWhoIsMonitored);
  Run('mail tells why an actor gave up', @MailTellsWhyAnActorGaveUp);
  Run('mail of an actor that is killed is lost', @MailOfAnActorThatIsKilledIsLost);
  Run('mail to a group reaches the others', @MailToAGroupReachesTheOthers);
  Run('mailboxes have a bound', @MailboxesHaveABound);
  Run('names are taken once, and found only where somebody has them', @NamesAreTakenOnceAndFoundOnlyWhereSomebodyHasThem);
  Run('an actor keeps its node open', @AnActorKeepsItsNodeOpen);
  Run('handles that were closed are told as such', @HandlesThatWereClosedAreToldAsSuch);
  Run('handles of another kind are refused', @HandlesOfAnotherKindAreRefused);
  Run('who is no child is told', @WhoIsNoChildIsTold);
  Run('a real number is computed as in C', @ARealNumberIsComputedAsInC);
  if ParamCount > 0 then Run('hello says hello and is told the price', @HelloSaysHelloAndIsToldThePrice);
  if Failures > 0 then begin
    WriteLn(Failures, ' expectations failed');
    Halt(1);
  end;
  WriteLn(Scenes, ' scenes, all as expected');
end.
