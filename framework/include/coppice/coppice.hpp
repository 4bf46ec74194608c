// Coppice: actors as coroutines, in supervision trees. This header includes the public surface in reading order.
// It includes no Asio header; coppice/await.hpp (Asio's operations in actors) and coppice/testing/world.hpp (tests on
// virtual time) are included by those who use them.
#pragma once
#include "coppice/actor.hpp"
#include "coppice/agent.hpp"
#include "coppice/blob.hpp"
#include "coppice/deployment.hpp"
#include "coppice/error.hpp"
#include "coppice/exit_reason.hpp"
#include "coppice/inspect.hpp"
#include "coppice/log.hpp"
#include "coppice/message.hpp"
#include "coppice/network.hpp"
#include "coppice/node.hpp"
#include "coppice/options.hpp"
#include "coppice/own_task.hpp"
#include "coppice/protocol.hpp"
#include "coppice/race.hpp"
#include "coppice/received.hpp"
#include "coppice/ref.hpp"
#include "coppice/supervisor.hpp"
#include "coppice/tagged.hpp"
#include "coppice/task.hpp"
