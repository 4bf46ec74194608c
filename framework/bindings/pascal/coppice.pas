// Coppice for Pascal: actors of a Coppice tree, by its C library.
//
//     Me := JoinTree('app', 'till');
//     Shop := Me.Find('/app/shop');
//     Me.Send(Shop, 'hello');
//     WriteLn(Me.Ask(Shop, MapOf(['price of', 'tea'])).ToText);
//     while Me.Next(Mail) do                 // until the actor is asked to end
//       if Mail.IsRequest then Mail.Reply(Mail.Value);
//
// Nodes, actors, mail and refs are interfaces: each is closed when nothing refers to it any more, or by Close. Values are TValue,
// which any number, text and so on becomes by itself. Texts are UTF-8. Time limits are in milliseconds. Errors are exceptions, one
// class for each that programs handle, all of them ECoppice with the code of the one table.
//
// Any thread; programs with threads of their own have cthreads as their first unit. One thread at a time receives for an actor.
unit coppice;

{$mode objfpc}{$H+}
{$modeswitch advancedrecords}

interface

uses
  SysUtils, coppiceabi;

const
  Forever = CoppiceForever;

type
  // What a call came back with. Code is a number of the one table (docs/errors.md), Name its name.
  ECoppice = class(Exception)
  private
    FCode: Integer;
    FName: string;
  public
    constructor CreateCode(ACode: Integer; const AText: RawByteString);
    property Code: Integer read FCode;
    property Name: string read FName;
  end;
  ECoppiceClass = class of ECoppice;
  ECoppiceTimeout = class(ECoppice);         // the time limit passed
  ECoppiceDown = class(ECoppice);            // the actor has ended, or never existed
  ECoppiceMailboxFull = class(ECoppice);     // the receiver's mailbox is at its bound
  ECoppiceUnreachable = class(ECoppice);     // no link leads to the actor's node
  ECoppiceNoHandler = class(ECoppice);       // the receiver takes no such message
  ECoppiceNoReply = class(ECoppice);         // the receiver has dropped the request
  ECoppiceNotFound = class(ECoppice);        // nothing has that name
  ECoppiceNameTaken = class(ECoppice);       // a living actor, or node, has that name
  ECoppiceWrongProtocol = class(ECoppice);   // the value is of another kind, or does not fit
  ECoppiceStopping = class(ECoppice);        // the actor or its node is asked to end
  ECoppiceFailed = class(ECoppice);          // the other side answered with an error of its own: its words
  ECoppiceInvalidArgument = class(ECoppice); // a value out of its documented range
  ECoppiceClosed = class(ECoppice);          // it was closed, or the request answered
  ECoppiceNodeLost = class(ECoppice);        // the actor's node has ended, or was out of reach for too long
  ECoppiceTooLarge = class(ECoppice);        // beyond a limit of what can be sent

  // Owns a handle of the library. Close gives it back; what is called then raises ECoppiceClosed.
  IHandle = interface
    procedure Close;
    function Handle: THandle; // for calls of the unit coppiceabi
  end;

  // Leads to an actor, wherever it runs, also after it was restarted.
  IRef = interface(IHandle)
    function Same(const Other: IRef): Boolean; // both lead to the same actor
    function ToText: RawByteString;            // for people
  end;

  TValueKind = (vkNothing, vkBool, vkInt, vkUInt, vkReal, vkText, vkBytes, vkList, vkRecord, vkMap, vkRef, vkTagged);

  IValueBody = interface // what a TValue refers to
    function Body: TObject;
  end;

  // What is sent and received: never changes, and may be shared by threads. The functions As... raise ECoppiceWrongProtocol
  // where it is of another kind, or does not fit.
  TValue = record
  private
    FBody: IValueBody; // nil: nothing
    function GetCount: Integer;
    function GetItem(Index: Integer): TValue;
    function GetKey(Index: Integer): TValue;
  public
    class operator :=(B: Boolean): TValue;
    class operator :=(N: Int64): TValue;
    class operator :=(N: UInt64): TValue;
    class operator :=(X: Double): TValue;
    class operator :=(const Text: RawByteString): TValue;
    class operator :=(const Text: UnicodeString): TValue;
    class operator :=(const Bytes: TBytes): TValue;
    class operator :=(const Ref: IRef): TValue;
    class operator =(const A, B: TValue): Boolean; // of one kind and content; NaN is equal to NaN, 0.0 not to -0.0

    function Kind: TValueKind;
    function IsNothing: Boolean;
    function AsBool: Boolean;
    function AsInt: Int64;
    function AsUInt: UInt64;
    function AsReal: Double; // also of an integer that it can hold
    function AsText: RawByteString;
    function AsBytes: TBytes;
    function AsRef: IRef;
    function AsTagged(out Tag: UInt64): TBytes; // also of the record as which it comes within another value
    function TypeId: UInt64;                    // of a record: its message type; 0: none
    function ToText: RawByteString;             // for people
    // The value of the first such key of a map; nothing if it has none.
    function Find(const Key: TValue): TValue;

    property Count: Integer read GetCount; // elements of a list, fields of a record, pairs of a map
    property Items[Index: Integer]: TValue read GetItem; default; // of a map: the mapped values
    property Keys[Index: Integer]: TValue read GetKey;
  end;
  TValues = array of TValue;

  TMailKind = (mkNone, mkMessage, mkRequest, mkAnswer, mkEnded);

  // What an actor has received. A request that is closed without a reply is answered with no_reply.
  IMail = interface(IHandle)
    function Kind: TMailKind;
    function IsRequest: Boolean; // its sender waits for Reply or Fail
    function HasEnded: Boolean;  // a monitored actor has ended: Number is what Monitor gave, Value its reason
    function Value: TValue;
    function Number: UInt64;
    function Sender: IRef;       // nil: nobody says so
    procedure Reply(const Answer: TValue); // once, from any thread
    procedure Fail(const Text: RawByteString); // its sender gets ECoppiceFailed, with this text
  end;

  TLevel = (llDefault, llTrace, llDebug, llInfo, llWarn, llError, llOff);

  // A mailbox of this process, with a name in the tree.
  IActor = interface(IHandle)
    function Path: RawByteString;
    function Ref: IRef; // to itself

    // ECoppiceNotFound: that node has no such actor. ECoppiceUnreachable: no link leads to that node.
    function Find(const APath: RawByteString): IRef;
    // Returns when it is on its way. WaitMs: how long to wait for room in the receiver's mailbox.
    procedure Send(const Target: IRef; const Value: TValue; WaitMs: UInt64 = 0);
    // Sends a request and returns its answer. ECoppiceTimeout after that time; ECoppiceFailed, ECoppiceNoReply and others at once.
    function Ask(const Target: IRef; const Value: TValue; WithinMs: UInt64 = 5000): TValue;

    procedure Stop(const Who: IRef); // asks it to end when it has handled its mail
    procedure Shutdown(const Who: IRef; WithinMs: UInt64 = 5000); // to end now; kills it if that takes longer
    procedure Kill(const Who: IRef);
    // Mail that HasEnded, with this number, comes when its present life ends; at once if it has none.
    function Monitor(const Who: IRef): UInt64;
    procedure Demonitor(Number: UInt64);

    // The next mail. ECoppiceTimeout: there is none in time. ECoppiceStopping: the actor is asked to end.
    function Receive(WithinMs: UInt64 = Forever): IMail;
    // Waits for the next mail. False: the actor is asked to end. What Mail was before is given back first.
    function Next(out Mail: IMail): Boolean;
    // False: there is none in time. For idle hooks and loops that poll Descriptor.
    function TryReceive(out Mail: IMail; WithinMs: UInt64 = 0): Boolean;
    // The mail that Receive would return, which stays where it is; unless it is closed, Receive returns it later.
    function Peek(WithinMs: UInt64 = Forever): IMail;
    // Readable, for poll(), while there is mail or the actor is asked to end. Not to be read or closed.
    function Descriptor: Integer;

    procedure Join(const Group: RawByteString);
    procedure Leave(const Group: RawByteString);
    // To all members but this one; how many took it.
    function Publish(const Group: RawByteString; const Value: TValue): Integer;

    procedure Ready; // of a child that announces it: it counts as started from now on
    procedure GiveUp(const Reason: RawByteString); // it ends in failure
    procedure Log(const Text: RawByteString; Level: TLevel = llInfo); // a record in the tree's log
  end;

  // This process's part in a tree. When it is closed, it leaves the tree, and its actors end.
  INode = interface(IHandle)
    // An actor of this process, which keeps its node open. Mailbox: messages that may wait in it; 0: 65,536.
    function Actor(const Name: RawByteString = ''; Mailbox: UInt32 = 0): IActor;
  end;

  // Default(TNodeOptions) has all defaults: a tree of its own that nobody joins.
  TNodeOptions = record
    Name: RawByteString;       // of the node; '': one that nobody else has
    Tree: RawByteString;       // joins the tree of that name on this machine
    Parent: RawByteString;     // or: joins at this endpoint, 'tcp://host:4711?...'
    Listen: RawByteString;     // where others can join below it; several with commas
    SecretFile: RawByteString; // both sides prove that they know what is in it
    SecretEnv: RawByteString;  // the same, from a variable of the environment
    HoldMs: UInt64;            // how long the tree may be out of reach before it counts as lost; 0: 60,000
    JoinMs: UInt64;            // time limit for joining; 0: 5,000, and no less
    LogLevel: TLevel;
  end;

  TChildProcedure = procedure(const Me: IActor);
  TChildMethod = procedure(const Me: IActor) of object;

function OpenNode(const Options: TNodeOptions): INode;
// Begins a tree that can be joined by its name.
function BeginTree(const Name: RawByteString): INode;
// Joins the tree of that name on this machine with one actor, which keeps its node open.
function JoinTree(const Tree: RawByteString; const ActorName: RawByteString = ''): IActor;

function Nothing: TValue;
function ListOf(const Parts: array of TValue): TValue;
// Keys and their values in turn, in that order.
function MapOf(const Pairs: array of TValue): TValue;
// Fields in order. TypeName: the C++ name of the message type that it is, 'shop::order'; '': of none.
function RecordOf(const Fields: array of TValue; const TypeName: RawByteString = ''): TValue;
function RecordOfType(const Fields: array of TValue; Id: UInt64): TValue;
// Bytes of an encoding of your own (Protocol Buffers, JSON, ...), and a number that says which.
function Tagged(Tag: UInt64; const Content: TBytes): TValue;
// The number of a message type, by its C++ name.
function TypeIdOf(const TypeName: RawByteString): UInt64;

// True if a supervisor of a tree has started this process, and its place is not taken yet.
function IsChild: Boolean;
// The main part of a program that a supervisor starts: takes its place in the tree, runs Body, and returns the process's exit code.
// Without Announce the child counts as started when it calls Ready. An exception ends the actor in failure, with its words as the
// reason, and is raised.
function RunAsChild(Body: TChildProcedure; Announce: Boolean = True): Integer;
function RunAsChild(Body: TChildMethod; Announce: Boolean = True): Integer;

// Handles that are open in this process; for tests of leaks.
function OpenHandles: PtrUInt;

implementation

uses
  ctypes, Math;

const
  CodeTimeout = 1;
  CodeNotFound = 10;
  CodeWrongProtocol = 13;
  CodeStopping = 17;
  CodeInvalidArgument = 19;
  CodeTooLarge = 29;
  MostDepth = 32; // as coppice_add has it

type
  TValueBody = class(TInterfacedObject, IValueBody)
    Kind: TValueKind;
    Depth: Integer; // of lists, records and maps, this one included
    Number: UInt64; // a boolean, the bits of a number, a tag, or a record's type
    Text: RawByteString;
    Bytes: TBytes;
    Ref: IRef;
    Keys, Parts: TValues;
    constructor Create(AKind: TValueKind; ANumber: UInt64 = 0);
    constructor CreateWhole(AKind: TValueKind; const AKeys, AParts: array of TValue; AType: UInt64 = 0);
    function Body: TObject;
  end;

  THandleOwner = class(TInterfacedObject, IHandle)
  private
    FHandle: THandle;
    FClosed: LongInt; // 1: given back
  public
    constructor Create(AHandle: THandle);
    destructor Destroy; override;
    procedure Close; virtual;
    function Handle: THandle;
  end;

  TRef = class(THandleOwner, IRef)
    function Same(const Other: IRef): Boolean;
    function ToText: RawByteString;
  end;

  TMail = class(THandleOwner, IMail)
  private
    FKind: TMailKind;
    FValue: TValue;
  public
    constructor Create(AHandle: THandle);
    function Kind: TMailKind;
    function IsRequest: Boolean;
    function HasEnded: Boolean;
    function Value: TValue;
    function Number: UInt64;
    function Sender: IRef;
    procedure Reply(const Answer: TValue);
    procedure Fail(const Text: RawByteString);
  end;

  TActor = class(THandleOwner, IActor)
  private
    FNode: INode;
    FLock: TRTLCriticalSection; // of FPeeked
    FPeeked: array of IMail;    // what Peek has given and Receive has not: both give the same handle
    function MailOf(AHandle: THandle; IsTaken: Boolean): IMail;
  public
    constructor Create(AHandle: THandle; const ANode: INode);
    destructor Destroy; override;
    procedure Close; override;
    function Path: RawByteString;
    function Ref: IRef;
    function Find(const APath: RawByteString): IRef;
    procedure Send(const Target: IRef; const Value: TValue; WaitMs: UInt64);
    function Ask(const Target: IRef; const Value: TValue; WithinMs: UInt64): TValue;
    procedure Stop(const Who: IRef);
    procedure Shutdown(const Who: IRef; WithinMs: UInt64);
    procedure Kill(const Who: IRef);
    function Monitor(const Who: IRef): UInt64;
    procedure Demonitor(ANumber: UInt64);
    function Receive(WithinMs: UInt64): IMail;
    function Next(out Mail: IMail): Boolean;
    function TryReceive(out Mail: IMail; WithinMs: UInt64): Boolean;
    function Peek(WithinMs: UInt64): IMail;
    function Descriptor: Integer;
    procedure Join(const Group: RawByteString);
    procedure Leave(const Group: RawByteString);
    function Publish(const Group: RawByteString; const Value: TValue): Integer;
    procedure Ready;
    procedure GiveUp(const Reason: RawByteString);
    procedure Log(const Text: RawByteString; Level: TLevel);
  end;

  TNode = class(THandleOwner, INode)
    function Actor(const Name: RawByteString; Mailbox: UInt32): IActor;
  end;

// ---- errors

function ErrorOf(Code: Integer; const Text: RawByteString): ECoppice;
var
  OfCode: ECoppiceClass;
begin
  case Code of
    CodeTimeout: OfCode := ECoppiceTimeout;
    2: OfCode := ECoppiceDown;
    3: OfCode := ECoppiceMailboxFull;
    4: OfCode := ECoppiceUnreachable;
    6: OfCode := ECoppiceNoHandler;
    7: OfCode := ECoppiceNoReply;
    CodeNotFound: OfCode := ECoppiceNotFound;
    11: OfCode := ECoppiceNameTaken;
    CodeWrongProtocol: OfCode := ECoppiceWrongProtocol;
    CodeStopping: OfCode := ECoppiceStopping;
    18: OfCode := ECoppiceFailed;
    CodeInvalidArgument: OfCode := ECoppiceInvalidArgument;
    21: OfCode := ECoppiceClosed;
    22: OfCode := ECoppiceNodeLost;
    CodeTooLarge: OfCode := ECoppiceTooLarge;
  else
    OfCode := ECoppice;
  end;
  Result := OfCode.CreateCode(Code, Text);
end;

procedure Check(Code: cint); inline;
begin
  if Code <> 0 then raise ErrorOf(Code, RawByteString(coppice_error_text));
end;

constructor ECoppice.CreateCode(ACode: Integer; const AText: RawByteString);
begin
  FCode := ACode;
  FName := coppice_code_name(ACode);
  inherited Create(AText);
  if AText = '' then Message := FName;
end;

// For arguments that end at their terminating zero.
function NameOf(const Text: RawByteString): PAnsiChar;
begin
  if IndexByte(PAnsiChar(Text)^, Length(Text), 0) >= 0 then
    raise ErrorOf(CodeInvalidArgument, 'a name or path must not have a zero character');
  Result := PAnsiChar(Text);
end;

// The same, which is left out if it is empty.
function NameOrNone(const Text: RawByteString): PAnsiChar;
begin
  Result := nil;
  if Text <> '' then Result := NameOf(Text);
end;

function Copied(At: Pointer; Size: csize_t): TBytes;
begin
  Result := nil;
  SetLength(Result, Size);
  if Size > 0 then Move(At^, Result[0], Size);
end;

function CopiedText(At: Pointer; Size: csize_t): RawByteString;
begin
  Result := '';
  SetLength(Result, Size);
  if Size > 0 then Move(At^, Result[1], Size);
  SetCodePage(Result, CP_UTF8, False);
end;

// ---- handles

function HandleOf(const One: IHandle): THandle;
begin
  if One = nil then Result := 0 else Result := One.Handle;
end;

constructor THandleOwner.Create(AHandle: THandle);
begin
  FHandle := AHandle;
end;

destructor THandleOwner.Destroy;
begin
  if InterlockedExchange(FClosed, 1) = 0 then coppice_close(FHandle);
  inherited;
end;

procedure THandleOwner.Close;
begin
  // The number stays: the library knows that it is closed, and says so to who still uses it.
  if InterlockedExchange(FClosed, 1) = 0 then Check(coppice_close(FHandle));
end;

function THandleOwner.Handle: THandle;
begin
  Result := FHandle;
end;

function TRef.Same(const Other: IRef): Boolean;
begin
  Result := coppice_same(FHandle, HandleOf(Other)) = 0;
end;

function TRef.ToText: RawByteString;
var
  Text: array[0..1023] of AnsiChar;
begin
  Check(coppice_ref_text(FHandle, Text, SizeOf(Text)));
  Result := CopiedText(@Text, StrLen(Text));
end;

// ---- values

const
  KindNames: array[TValueKind] of string = ('nothing', 'a boolean', 'an integer', 'an unsigned integer', 'a real number',
    'a text', 'bytes', 'a list', 'a record', 'a map', 'a ref', 'tagged');

procedure WrongKind(Kind: TValueKind; const Wanted: string);
begin
  raise ErrorOf(CodeWrongProtocol, 'the value is ' + KindNames[Kind] + ', not ' + Wanted);
end;

procedure DoesNotFit(const Wanted: string);
begin
  raise ErrorOf(CodeWrongProtocol, 'the number does not fit into ' + Wanted);
end;

function BodyOf(const V: TValue): TValueBody;
begin
  Result := nil;
  if V.FBody <> nil then Result := TValueBody(V.FBody.Body);
end;

function Held(const V: TValue; Wanted: TValueKind): TValueBody;
begin
  if V.Kind <> Wanted then WrongKind(V.Kind, KindNames[Wanted]);
  Result := BodyOf(V);
end;

constructor TValueBody.Create(AKind: TValueKind; ANumber: UInt64);
begin
  Kind := AKind;
  Number := ANumber;
end;

constructor TValueBody.CreateWhole(AKind: TValueKind; const AKeys, AParts: array of TValue; AType: UInt64);

  procedure Take(const From: array of TValue; var All: TValues);
  var
    I: Integer;
  begin
    SetLength(All, Length(From));
    for I := 0 to High(From) do begin
      All[I] := From[I];
      if From[I].FBody <> nil then Depth := Max(Depth, BodyOf(From[I]).Depth + 1);
    end;
  end;

begin
  Create(AKind, AType);
  Depth := 1;
  Take(AKeys, Keys);
  Take(AParts, Parts);
  // Here, and not only when it is sent: what is deeper could not be given back without using up the stack.
  if Depth > MostDepth then
    raise ErrorOf(CodeTooLarge, Format('lists, records and maps within one another are limited to %d: flatten what you send',
      [MostDepth]));
end;

function TValueBody.Body: TObject;
begin
  Result := Self;
end;

class operator TValue.:=(B: Boolean): TValue;
begin
  Result.FBody := TValueBody.Create(vkBool, Ord(B));
end;

class operator TValue.:=(N: Int64): TValue;
begin
  Result.FBody := TValueBody.Create(vkInt, UInt64(N));
end;

class operator TValue.:=(N: UInt64): TValue;
begin
  Result.FBody := TValueBody.Create(vkUInt, N);
end;

class operator TValue.:=(X: Double): TValue;
begin
  Result.FBody := TValueBody.Create(vkReal, PUInt64(@X)^);
end;

class operator TValue.:=(const Text: RawByteString): TValue;
var
  Made: TValueBody;
begin
  Made := TValueBody.Create(vkText);
  Result.FBody := Made;
  Made.Text := Text;
end;

class operator TValue.:=(const Text: UnicodeString): TValue;
begin
  Result := RawByteString(UTF8Encode(Text));
end;

class operator TValue.:=(const Bytes: TBytes): TValue;
var
  Made: TValueBody;
begin
  Made := TValueBody.Create(vkBytes);
  Result.FBody := Made;
  Made.Bytes := Copy(Bytes); // arrays are shared, and may be written to
end;

class operator TValue.:=(const Ref: IRef): TValue;
var
  Made: TValueBody;
begin
  if Ref = nil then raise ErrorOf(CodeInvalidArgument, 'a ref that is nil cannot be sent: Nothing says that there is none');
  Made := TValueBody.Create(vkRef);
  Result.FBody := Made;
  Made.Ref := Ref;
end;

class operator TValue.=(const A, B: TValue): Boolean;

  function AllSame(const X, Y: TValues): Boolean;
  var
    I: Integer;
  begin
    Result := Length(X) = Length(Y);
    for I := 0 to High(X) do
      if Result then Result := X[I] = Y[I];
  end;

var
  X, Y: TValueBody;
begin
  if A.Kind <> B.Kind then Exit(False);
  if A.FBody = B.FBody then Exit(True);
  X := BodyOf(A);
  Y := BodyOf(B);
  Result := (X.Number = Y.Number) or ((X.Kind = vkReal) and IsNan(A.AsReal) and IsNan(B.AsReal));
  if not Result then Exit;
  case X.Kind of
    vkText: Result := (Length(X.Text) = Length(Y.Text)) and (CompareByte(PAnsiChar(X.Text)^, PAnsiChar(Y.Text)^,
      Length(X.Text)) = 0);
    vkBytes, vkTagged: Result := (Length(X.Bytes) = Length(Y.Bytes)) and ((X.Bytes = nil) or (CompareByte(X.Bytes[0],
      Y.Bytes[0], Length(X.Bytes)) = 0));
    vkList, vkRecord, vkMap: Result := AllSame(X.Keys, Y.Keys) and AllSame(X.Parts, Y.Parts);
    vkRef: Result := X.Ref.Same(Y.Ref);
  end;
end;

function TValue.Kind: TValueKind;
begin
  Result := vkNothing;
  if FBody <> nil then Result := BodyOf(Self).Kind;
end;

function TValue.IsNothing: Boolean;
begin
  Result := Kind = vkNothing;
end;

function TValue.AsBool: Boolean;
begin
  Result := Held(Self, vkBool).Number <> 0;
end;

function TValue.AsInt: Int64;
begin
  if Kind <> vkUInt then Exit(Int64(Held(Self, vkInt).Number));
  if BodyOf(Self).Number > UInt64(High(Int64)) then DoesNotFit('an integer of 64 bits');
  Result := Int64(BodyOf(Self).Number);
end;

function TValue.AsUInt: UInt64;
begin
  if Kind = vkUInt then Exit(BodyOf(Self).Number);
  Result := Held(Self, vkInt).Number;
  if Int64(Result) < 0 then DoesNotFit('an unsigned integer of 64 bits');
end;

function TValue.AsReal: Double;
const
  Most = Int64(1) shl 53; // up to here a real number has all integers
var
  Whole: Int64;
begin
  if not (Kind in [vkInt, vkUInt]) then Exit(PDouble(@Held(Self, vkReal).Number)^);
  Whole := AsInt;
  if (Whole > Most) or (Whole < -Most) then DoesNotFit('a real number');
  Result := Whole;
end;

function TValue.AsText: RawByteString;
begin
  Result := Held(Self, vkText).Text;
end;

function TValue.AsBytes: TBytes;
begin
  Result := Copy(Held(Self, vkBytes).Bytes);
end;

function TValue.AsRef: IRef;
begin
  Result := Held(Self, vkRef).Ref;
end;

function TValue.AsTagged(out Tag: UInt64): TBytes;
var
  Parts: TValues;
begin
  if Kind = vkTagged then begin
    Tag := BodyOf(Self).Number;
    Exit(Copy(BodyOf(Self).Bytes));
  end;
  if Kind = vkRecord then begin
    Parts := BodyOf(Self).Parts;
    if (BodyOf(Self).Number = 0) and (Length(Parts) = 2) and (Parts[0].Kind in [vkInt, vkUInt]) and
      (Parts[1].Kind = vkBytes) then begin
      Tag := Parts[0].AsUInt;
      Exit(Parts[1].AsBytes);
    end;
  end;
  Tag := 0;
  Result := nil;
  WrongKind(Kind, KindNames[vkTagged]);
end;

function TValue.TypeId: UInt64;
begin
  Result := Held(Self, vkRecord).Number;
end;

function TValue.GetCount: Integer;
begin
  if not (Kind in [vkList, vkRecord, vkMap]) then WrongKind(Kind, 'a list, a record or a map');
  Result := Length(BodyOf(Self).Parts);
end;

function TValue.GetItem(Index: Integer): TValue;
begin
  if (Index < 0) or (Index >= Count) then
    raise ErrorOf(CodeNotFound, Format('there is no element %d, only %d from 0 on', [Index, Count]));
  Result := BodyOf(Self).Parts[Index];
end;

function TValue.GetKey(Index: Integer): TValue;
begin
  Held(Self, vkMap);
  if (Index < 0) or (Index >= Count) then
    raise ErrorOf(CodeNotFound, Format('there is no pair %d, only %d from 0 on', [Index, Count]));
  Result := BodyOf(Self).Keys[Index];
end;

function TValue.Find(const Key: TValue): TValue;
var
  I: Integer;
begin
  Held(Self, vkMap);
  for I := 0 to Count - 1 do
    if Keys[I] = Key then Exit(Items[I]);
  Result := Nothing;
end;

function Nothing: TValue;
begin
  Result.FBody := nil;
end;

function ListOf(const Parts: array of TValue): TValue;
begin
  Result.FBody := TValueBody.CreateWhole(vkList, [], Parts);
end;

function MapOf(const Pairs: array of TValue): TValue;
var
  Keys, Mapped: TValues;
  I: Integer;
begin
  if Odd(Length(Pairs)) then raise ErrorOf(CodeInvalidArgument, 'the last key has no value');
  Keys := nil;
  Mapped := nil;
  SetLength(Keys, Length(Pairs) div 2);
  SetLength(Mapped, Length(Keys));
  for I := 0 to High(Keys) do begin
    Keys[I] := Pairs[2 * I];
    Mapped[I] := Pairs[2 * I + 1];
  end;
  Result.FBody := TValueBody.CreateWhole(vkMap, Keys, Mapped);
end;

function RecordOf(const Fields: array of TValue; const TypeName: RawByteString): TValue;
var
  Id: UInt64;
begin
  Id := 0;
  if TypeName <> '' then Id := TypeIdOf(TypeName);
  Result := RecordOfType(Fields, Id);
end;

function RecordOfType(const Fields: array of TValue; Id: UInt64): TValue;
begin
  Result.FBody := TValueBody.CreateWhole(vkRecord, [], Fields, Id);
end;

function Tagged(Tag: UInt64; const Content: TBytes): TValue;
var
  Made: TValueBody;
begin
  Made := TValueBody.Create(vkTagged, Tag);
  Result.FBody := Made;
  Made.Bytes := Copy(Content);
end;

function TypeIdOf(const TypeName: RawByteString): UInt64;
begin
  Result := coppice_type_id(NameOf(TypeName));
end;

// A new value of the library's; whoever has it closes it, or gives it to another one.
function Built(const V: TValue): THandle;
var
  From: TValueBody;
  Part, Key: THandle;
  I: Integer;
begin
  Result := 0;
  if V.FBody = nil then begin
    Check(coppice_new_nothing(Result));
    Exit;
  end;
  From := BodyOf(V);
  case From.Kind of
    vkBool: Check(coppice_new_bool(cint(From.Number), Result));
    vkInt: Check(coppice_new_int64(Int64(From.Number), Result));
    vkUInt: Check(coppice_new_uint64(From.Number, Result));
    vkReal: Check(coppice_new_double(PDouble(@From.Number)^, Result));
    vkText: Check(coppice_new_text(PAnsiChar(From.Text), Length(From.Text), Result));
    vkBytes: Check(coppice_new_bytes(Pointer(From.Bytes), Length(From.Bytes), Result));
    vkTagged: Check(coppice_new_tagged(From.Number, Pointer(From.Bytes), Length(From.Bytes), Result));
    vkRef: Check(coppice_new_ref(HandleOf(From.Ref), Result));
    vkList: Check(coppice_new_list(Result));
    vkRecord: Check(coppice_new_record_of(From.Number, Result));
    vkMap: Check(coppice_new_map(Result));
  end;
  try
    for I := 0 to High(From.Parts) do
      if From.Kind <> vkMap then
        Check(coppice_add(Result, Built(From.Parts[I]))) // takes the part, whatever comes of it
      else begin
        Key := Built(From.Keys[I]);
        try
          Part := Built(From.Parts[I]);
        except
          coppice_close(Key);
          raise;
        end;
        Check(coppice_put(Result, Key, Part));
      end;
  except
    coppice_close(Result);
    raise;
  end;
end;

// What a value of the library's holds. Closes it.
function Taken(V: THandle): TValue;

  function PartsOf: TValues;
  var
    Size: csize_t;
    Part: THandle;
    I: Integer;
  begin
    Result := nil;
    Check(coppice_value_size(V, Size));
    SetLength(Result, Size);
    for I := 0 to High(Result) do begin
      Check(coppice_value_at(V, I, Part));
      Result[I] := Taken(Part);
    end;
  end;

  function KeysOf(Size: Integer): TValues;
  var
    Key: THandle;
    I: Integer;
  begin
    Result := nil;
    SetLength(Result, Size);
    for I := 0 to High(Result) do begin
      Check(coppice_value_key(V, I, Key));
      Result[I] := Taken(Key);
    end;
  end;

var
  Kind, Truth: cint;
  Signed: Int64;
  Number: UInt64;
  Real: Double;
  Text: PAnsiChar;
  Bytes: Pointer;
  Size: csize_t;
  Ref: THandle;
  Lead: IRef;
  Parts: TValues;
  Made: TValueBody;
begin
  Result := Nothing;
  try
    Check(coppice_value_kind_of(V, Kind));
    case TValueKind(Kind) of
      vkBool: begin
        Check(coppice_get_bool(V, Truth));
        Result := Truth <> 0;
      end;
      vkInt: begin
        Check(coppice_get_int64(V, Signed));
        Result := Signed;
      end;
      vkUInt: begin
        Check(coppice_get_uint64(V, Number));
        Result := Number;
      end;
      vkReal: begin
        Check(coppice_get_double(V, Real));
        Result := Real;
      end;
      vkText: begin
        Check(coppice_get_text(V, Text, Size));
        Result := CopiedText(Text, Size);
      end;
      vkBytes: begin
        Check(coppice_get_bytes(V, Bytes, Size));
        Made := TValueBody.Create(vkBytes);
        Result.FBody := Made;
        Made.Bytes := Copied(Bytes, Size);
      end;
      vkTagged: begin
        Check(coppice_get_tagged(V, Number, Bytes, Size));
        Made := TValueBody.Create(vkTagged, Number);
        Result.FBody := Made;
        Made.Bytes := Copied(Bytes, Size);
      end;
      vkRef: begin
        Check(coppice_get_ref(V, Ref));
        Lead := TRef.Create(Ref);
        Result := Lead;
      end;
      vkList: Result.FBody := TValueBody.CreateWhole(vkList, [], PartsOf);
      vkRecord: begin
        Check(coppice_value_type(V, Number));
        Result.FBody := TValueBody.CreateWhole(vkRecord, [], PartsOf, Number);
      end;
      vkMap: begin
        Parts := PartsOf;
        Result.FBody := TValueBody.CreateWhole(vkMap, KeysOf(Length(Parts)), Parts);
      end;
    end;
  finally
    coppice_close(V);
  end;
end;

function TValue.ToText: RawByteString;
var
  V: THandle;
  Text: array[0..4095] of AnsiChar;
begin
  V := Built(Self);
  try
    Check(coppice_value_text(V, Text, SizeOf(Text)));
  finally
    coppice_close(V);
  end;
  Result := CopiedText(@Text, StrLen(Text));
end;

// ---- mail

constructor TMail.Create(AHandle: THandle);
var
  Told: cint;
  V: THandle;
begin
  inherited;
  Check(coppice_mail_kind_of(AHandle, Told));
  FKind := TMailKind(Told);
  Check(coppice_mail_value(AHandle, V));
  FValue := Taken(V);
end;

function TMail.Kind: TMailKind;
begin
  Result := FKind;
end;

function TMail.IsRequest: Boolean;
begin
  Result := FKind = mkRequest;
end;

function TMail.HasEnded: Boolean;
begin
  Result := FKind = mkEnded;
end;

function TMail.Value: TValue;
begin
  Result := FValue;
end;

function TMail.Number: UInt64;
begin
  Check(coppice_mail_number(FHandle, Result));
end;

function TMail.Sender: IRef;
var
  Ref: THandle;
  Code: cint;
begin
  Result := nil;
  Code := coppice_mail_sender(FHandle, Ref);
  if Code = CodeNotFound then Exit;
  Check(Code);
  Result := TRef.Create(Ref);
end;

procedure TMail.Reply(const Answer: TValue);
var
  V: THandle;
begin
  V := Built(Answer);
  try
    Check(coppice_reply(FHandle, V));
  finally
    coppice_close(V);
  end;
end;

procedure TMail.Fail(const Text: RawByteString);
begin
  Check(coppice_fail(FHandle, PAnsiChar(Text), Length(Text)));
end;

// ---- actors

constructor TActor.Create(AHandle: THandle; const ANode: INode);
begin
  inherited Create(AHandle);
  InitCriticalSection(FLock);
  FNode := ANode;
end;

destructor TActor.Destroy;
begin
  inherited; // the actor ends before its node
  DoneCriticalSection(FLock);
end;

procedure TActor.Close;
var
  Peeked: array of IMail;
  Node: INode;
begin
  inherited;
  EnterCriticalSection(FLock);
  Peeked := FPeeked;
  FPeeked := nil;
  Node := FNode;
  FNode := nil;
  LeaveCriticalSection(FLock);
end; // mail that nobody else has, and its node, are closed here, without the lock

function TActor.Path: RawByteString;
var
  Text: PAnsiChar;
  Size: csize_t;
begin
  Check(coppice_path(FHandle, Text, Size));
  Result := CopiedText(Text, Size);
end;

function TActor.Ref: IRef;
var
  Made: THandle;
begin
  Check(coppice_self(FHandle, Made));
  Result := TRef.Create(Made);
end;

function TActor.Find(const APath: RawByteString): IRef;
var
  Found: THandle;
begin
  Check(coppice_find(FHandle, NameOf(APath), Found));
  Result := TRef.Create(Found);
end;

procedure TActor.Send(const Target: IRef; const Value: TValue; WaitMs: UInt64);
var
  Goal, V: THandle;
  From: TValueBody;
begin
  Goal := HandleOf(Target);
  if WaitMs = 0 then begin // in one call
    From := BodyOf(Value);
    case Value.Kind of
      vkNothing: begin
        Check(coppice_send_nothing(FHandle, Goal));
        Exit;
      end;
      vkBool: begin
        Check(coppice_send_bool(FHandle, Goal, cint(From.Number)));
        Exit;
      end;
      vkInt: begin
        Check(coppice_send_int64(FHandle, Goal, Int64(From.Number)));
        Exit;
      end;
      vkUInt: begin
        Check(coppice_send_uint64(FHandle, Goal, From.Number));
        Exit;
      end;
      vkReal: begin
        Check(coppice_send_double(FHandle, Goal, PDouble(@From.Number)^));
        Exit;
      end;
      vkText: begin
        Check(coppice_send_text(FHandle, Goal, PAnsiChar(From.Text), Length(From.Text)));
        Exit;
      end;
      vkBytes: begin
        Check(coppice_send_bytes(FHandle, Goal, Pointer(From.Bytes), Length(From.Bytes)));
        Exit;
      end;
      vkTagged: begin
        Check(coppice_send_tagged(FHandle, Goal, From.Number, Pointer(From.Bytes), Length(From.Bytes)));
        Exit;
      end;
    end;
  end;
  V := Built(Value);
  try
    Check(coppice_send(FHandle, Goal, V, WaitMs));
  finally
    coppice_close(V);
  end;
end;

function TActor.Ask(const Target: IRef; const Value: TValue; WithinMs: UInt64): TValue;
var
  V, Answer: THandle;
begin
  V := Built(Value);
  try
    Check(coppice_ask(FHandle, HandleOf(Target), V, WithinMs, Answer));
  finally
    coppice_close(V);
  end;
  Result := Taken(Answer);
end;

procedure TActor.Stop(const Who: IRef);
begin
  Check(coppice_stop(FHandle, HandleOf(Who)));
end;

procedure TActor.Shutdown(const Who: IRef; WithinMs: UInt64);
begin
  Check(coppice_shutdown(FHandle, HandleOf(Who), WithinMs));
end;

procedure TActor.Kill(const Who: IRef);
begin
  Check(coppice_kill(FHandle, HandleOf(Who)));
end;

function TActor.Monitor(const Who: IRef): UInt64;
begin
  Check(coppice_monitor(FHandle, HandleOf(Who), Result));
end;

procedure TActor.Demonitor(ANumber: UInt64);
begin
  Check(coppice_forget_monitor(FHandle, ANumber));
end;

// The one object of that handle: what was peeked at comes again when it is received.
function TActor.MailOf(AHandle: THandle; IsTaken: Boolean): IMail;
var
  I, Kept: Integer;
  Told: cint;
begin
  Result := nil;
  EnterCriticalSection(FLock);
  try
    Kept := 0;
    for I := 0 to High(FPeeked) do begin
      if coppice_mail_kind_of(FPeeked[I].Handle, Told) <> 0 then Continue; // it was closed
      if FPeeked[I].Handle = AHandle then begin
        Result := FPeeked[I];
        if IsTaken then Continue;
      end;
      FPeeked[Kept] := FPeeked[I];
      Inc(Kept);
    end;
    SetLength(FPeeked, Kept);
    if Result <> nil then Exit;
    Result := TMail.Create(AHandle);
    if not IsTaken then Insert(Result, FPeeked, Kept);
  finally
    LeaveCriticalSection(FLock);
  end;
end;

function TActor.Receive(WithinMs: UInt64): IMail;
var
  Mail: THandle;
begin
  Check(coppice_receive(FHandle, WithinMs, Mail));
  Result := MailOf(Mail, True);
end;

function TActor.Next(out Mail: IMail): Boolean;
var
  Got: THandle;
  Code: cint;
begin
  Code := coppice_receive(FHandle, Forever, Got);
  Result := Code <> CodeStopping;
  if not Result then Exit;
  Check(Code);
  Mail := MailOf(Got, True);
end;

function TActor.TryReceive(out Mail: IMail; WithinMs: UInt64): Boolean;
var
  Got: THandle;
  Code: cint;
begin
  Code := coppice_receive(FHandle, WithinMs, Got);
  Result := Code <> CodeTimeout;
  if not Result then Exit;
  Check(Code);
  Mail := MailOf(Got, True);
end;

function TActor.Peek(WithinMs: UInt64): IMail;
var
  Mail: THandle;
begin
  Check(coppice_peek(FHandle, WithinMs, Mail));
  Result := MailOf(Mail, False);
end;

function TActor.Descriptor: Integer;
var
  Number: cint;
begin
  Check(coppice_descriptor(FHandle, Number));
  Result := Number;
end;

procedure TActor.Join(const Group: RawByteString);
begin
  Check(coppice_join(FHandle, NameOf(Group)));
end;

procedure TActor.Leave(const Group: RawByteString);
begin
  Check(coppice_leave(FHandle, NameOf(Group)));
end;

function TActor.Publish(const Group: RawByteString; const Value: TValue): Integer;
var
  V: THandle;
  Members: csize_t;
begin
  V := Built(Value);
  try
    Check(coppice_publish(FHandle, NameOf(Group), V, Members));
  finally
    coppice_close(V);
  end;
  Result := Members;
end;

procedure TActor.Ready;
begin
  Check(coppice_ready(FHandle));
end;

procedure TActor.GiveUp(const Reason: RawByteString);
begin
  Check(coppice_give_up(FHandle, PAnsiChar(Reason), Length(Reason)));
end;

procedure TActor.Log(const Text: RawByteString; Level: TLevel);
begin
  if Level = llDefault then Level := llInfo;
  Check(coppice_log(FHandle, Ord(Level), PAnsiChar(Text), Length(Text)));
end;

// ---- nodes

function TNode.Actor(const Name: RawByteString; Mailbox: UInt32): IActor;
var
  Options: TAbiActorOptions;
  Made: THandle;
begin
  Options := Default(TAbiActorOptions);
  Options.size := SizeOf(Options);
  Options.name := NameOrNone(Name);
  Options.mailbox := Mailbox;
  Check(coppice_open_actor(FHandle, @Options, Made));
  Result := TActor.Create(Made, Self);
end;

function OpenNode(const Options: TNodeOptions): INode;
var
  Abi: TAbiNodeOptions;
  Made: THandle;
begin
  Abi := Default(TAbiNodeOptions);
  Abi.size := SizeOf(Abi);
  Abi.name := NameOrNone(Options.Name);
  Abi.tree := NameOrNone(Options.Tree);
  Abi.parent := NameOrNone(Options.Parent);
  Abi.listen := NameOrNone(Options.Listen);
  Abi.secret_file := NameOrNone(Options.SecretFile);
  Abi.secret_env := NameOrNone(Options.SecretEnv);
  Abi.hold_ms := Options.HoldMs;
  Abi.join_ms := Options.JoinMs;
  Abi.log_level := Ord(Options.LogLevel);
  Check(coppice_open_node(@Abi, Made));
  Result := TNode.Create(Made);
end;

function BeginTree(const Name: RawByteString): INode;
var
  Options: TNodeOptions;
begin
  Options := Default(TNodeOptions);
  Options.Name := Name;
  Result := OpenNode(Options);
end;

function JoinTree(const Tree: RawByteString; const ActorName: RawByteString): IActor;
var
  Options: TNodeOptions;
begin
  if Tree = '' then raise ErrorOf(CodeInvalidArgument, 'a tree must be named');
  Options := Default(TNodeOptions);
  Options.Tree := Tree;
  Result := OpenNode(Options).Actor(ActorName);
end;

// ---- children

function IsChild: Boolean;
begin
  Result := coppice_is_child = 1;
end;

procedure GiveUpAtLast(const Me: IActor; const Reason: RawByteString);
begin
  coppice_give_up(Me.Handle, PAnsiChar(Reason), Length(Reason)); // fails if it is ending already
end;

function RunAsChild(Plain: TChildProcedure; Method: TChildMethod; Announce: Boolean): Integer;
var
  Node, Actor: THandle;
  OwnNode: INode;
  Me: IActor;
begin
  Check(coppice_open_child(Ord(Announce), Node, Actor));
  OwnNode := TNode.Create(Node);
  Me := TActor.Create(Actor, OwnNode);
  try
    try
      if Assigned(Plain) then Plain(Me) else Method(Me);
    except
      on ECoppiceStopping do ;
      on E: Exception do begin
        GiveUpAtLast(Me, RawByteString(E.ClassName) + ': ' + RawByteString(E.Message));
        raise;
      end;
      else begin
        GiveUpAtLast(Me, 'something was raised that is no Exception');
        raise;
      end;
    end;
  finally
    Me.Close;
    OwnNode.Close;
    Result := coppice_exit_code; // waits until its parent has heard of it, also of what is raised
  end;
end;

function RunAsChild(Body: TChildProcedure; Announce: Boolean): Integer;
begin
  Result := RunAsChild(Body, nil, Announce);
end;

function RunAsChild(Body: TChildMethod; Announce: Boolean): Integer;
begin
  Result := RunAsChild(nil, Body, Announce);
end;

function OpenHandles: PtrUInt;
begin
  Result := coppice_open_handles;
end;

initialization
  // The library, whose threads take this over from the one that begins them, computes with NaN and infinity as C does; Pascal
  // would have the processor interrupt it. So does every unit over a library in C++, as those of OpenGL or GTK.
  SetExceptionMask([exInvalidOp, exDenormalized, exZeroDivide, exOverflow, exUnderflow, exPrecision]);
  Check(coppice_check_version(CoppiceHeaderMajor, CoppiceHeaderMinor));
end.
