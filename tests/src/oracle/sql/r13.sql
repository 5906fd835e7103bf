--@ request AS SELECT *, request_kind AS code FROM l_citizen_requests WHERE UNTIL(collected_on) AND collected_on >= $S AND NOT (outcome = 'withdrawn' AND BY(closed_on))
--@ closed AS SELECT * FROM request WHERE UNTIL(closed_on)
--= 1 收集合计: collected in the period, not withdrawn
SELECT ru, org, 1 AS v, code FROM request
--= 2 走访
SELECT ru, org, 1 AS v, code FROM request WHERE channel = 'visit'
--= 3 来访
SELECT ru, org, 1 AS v, code FROM request WHERE channel = 'reception'
--= 4 电话网络
SELECT ru, org, 1 AS v, code FROM request WHERE channel IN ('phone', 'online')
--= 5 网格
SELECT ru, org, 1 AS v, code FROM request WHERE channel = 'grid'
--= 6 其他
SELECT ru, org, 1 AS v, code FROM request WHERE channel IN ('box', 'agency', 'letter')
--= 7 全程代理
SELECT ru, org, 1 AS v, code FROM request WHERE is_agency = 'yes'
--= 8 已办结: closed by the day
SELECT ru, org, 1 AS v, code FROM closed
--= 9 办结率 = 8 / 1
--= 10 按期办结
SELECT ru, org, 1 AS v, code FROM closed WHERE due_on <> '' AND closed_on <= due_on
--= 11 按期率 = 10 / 8
--= 12 超期未办结: open on the day, and due before it
SELECT ru, org, 1 AS v, code FROM request WHERE NOT UNTIL(closed_on) AND due_on <> '' AND due_on < $D
--= 13 已反馈
SELECT ru, org, 1 AS v, code FROM closed WHERE UNTIL(publicised_on)
--= 14 反馈率 = 13 / 8
--= 15 已评价
SELECT ru, org, 1 AS v, code FROM closed WHERE satisfaction <> '' AND BY(evaluated_on)
--= 16 满意
SELECT ru, org, 1 AS v, code FROM closed WHERE satisfaction = 'satisfied' AND BY(evaluated_on)
--= 17 基本满意
SELECT ru, org, 1 AS v, code FROM closed WHERE satisfaction = 'basic' AND BY(evaluated_on)
--= 18 不满意
SELECT ru, org, 1 AS v, code FROM closed WHERE satisfaction = 'unsatisfied' AND BY(evaluated_on)
--= 19 满意率 = 16 + 17 / 15
