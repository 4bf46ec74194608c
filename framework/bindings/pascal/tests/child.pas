// The child of tests/capi/languages_test.cpp: gives back what it is asked, tells its process, asks others for every kind of value,
// and fails as it is told.
program child;

{$mode objfpc}{$H+}

uses
  Math, SysUtils, coppice;

function AllValues(const Me: IActor; Large: Integer): TValues;
var
  Count: Integer = 0;

  procedure Add(const V: TValue);
  begin
    if Count = Length(Result) then SetLength(Result, Count + 32);
    Result[Count] := V;
    Inc(Count);
  end;

var
  Many: TBytes = nil;
begin
  Result := nil;
  SetLength(Many, Large);
  if Large > 0 then FillChar(Many[0], Large, $AB);
  Add(Nothing);
  Add(True);
  Add(False);
  Add(0);
  Add(-1);
  Add(High(Int64));
  Add(Low(Int64));
  Add(High(UInt64));
  Add(0.5);
  Add(NegInfinity);
  Add(NaN);
  Add(5e-324);
  Add('');
  Add('with a zero '#0' inside');
  Add('four bytes: '#$F0#$9D#$84#$9E);
  Add(RawByteString(StringOfChar('x', Large)));
  Add(BytesOf(''));
  Add(BytesOf(#0#255));
  Add(Many);
  Add(ListOf([]));
  Add(ListOf([1, ListOf(['two', Nothing])]));
  Add(MapOf([]));
  Add(MapOf(['price', 2.5, 7, ListOf([True])]));
  Add(Me.Ref);
  Add(RecordOf([1, 'x']));
  Add(Tagged(High(UInt64), BytesOf(#0'{}')));
  SetLength(Result, Count);
end;

// A tagged value within another one comes as a record, which AsTagged reads, too.
function IsSame(const Sent, Back: TValue): Boolean;
var
  Tag, TagOfBack: UInt64;
begin
  if Sent.Kind <> vkTagged then Exit(Sent = Back);
  Result := TValue(Sent.AsTagged(Tag)) = TValue(Back.AsTagged(TagOfBack));
  Result := Result and (Tag = TagOfBack);
end;

function Described(const V: TValue): RawByteString;
begin
  Result := Copy(V.ToText, 1, 80);
end;

function AskForAll(const Me: IActor; const Path: RawByteString; Large: Integer): TValue;
var
  Wrong: TValues = nil;
  Far: IRef;
  Sent: TValue;
  Text: RawByteString;
begin
  Far := Me.Find(Path);
  for Sent in AllValues(Me, Large) do begin
    Text := '';
    try
      if not IsSame(Sent, Me.Ask(Far, RecordOf([Sent]), 60000)) then Text := Described(Sent) + ' came back as another value';
    except
      on E: ECoppice do Text := Described(Sent) + ': ' + E.Name + ': ' + E.Message;
    end;
    if Text <> '' then Insert(TValue(Text), Wrong, Length(Wrong));
  end;
  Result := ListOf(Wrong);
end;

// What it has of a mail is given back when it returns.
procedure Answer(const Me: IActor; const Mail: IMail);
begin
  if not Mail.IsRequest then raise Exception.Create(Mail.Value.AsText);
  case Mail.Value.Count of
    0: Mail.Reply(Int64(GetProcessID));
    1: Mail.Reply(Mail.Value[0]);
    2: Mail.Reply(AskForAll(Me, Mail.Value[0].AsText, Mail.Value[1].AsInt));
  else
    Mail.Fail('a request has no field, one, or two');
  end;
end;

procedure Serve(const Me: IActor);
var
  Mail: IMail;
begin
  while Me.Next(Mail) do Answer(Me, Mail);
end;

begin
  ExitCode := RunAsChild(@Serve);
end.
