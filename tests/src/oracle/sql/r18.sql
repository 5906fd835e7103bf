--@ session AS SELECT * FROM l_training_sessions WHERE UNTIL(start_on) AND YEAR(start_on)
--= 1 培训班期数
SELECT ru, org, 1 AS v FROM session
--= 2 书记班
SELECT ru, org, 1 AS v FROM session WHERE audience = 'secretary'
--= 3 周末远教课堂
SELECT ru, org, 1 AS v FROM session WHERE training_kind = 'remote'
--= 4 主题培训
SELECT ru, org, 1 AS v FROM session WHERE training_kind = 'theme'
--= 5 参训人次
SELECT ru, org, attended + 0 AS v FROM session
--= 6 书记
SELECT ru, org, attended + 0 AS v FROM session WHERE audience = 'secretary'
--= 7 党员
SELECT ru, org, attended + 0 AS v FROM session WHERE audience = 'member'
--= 8 村干部和村官
SELECT ru, org, attended + 0 AS v FROM session WHERE audience IN ('village_official', 'graduate_official')
--= 9 在任书记数
SELECT ru, org, 1 AS v FROM secretary
--= 10 参训书记数
SELECT DISTINCT ru, org, name, 1 AS v FROM attended
--= 11 参训率 = 10 / 9
--= x1
SELECT ru, org, hours + 0 AS v FROM attended
--= 12 人均学时 = x1 / 9
--= 13 培训经费(万元)
SELECT ru, org, cost_wan / 10000.0 AS v FROM session
